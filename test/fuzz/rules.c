// libFuzzer: rules as JavaScript gives them to the router, then packets that they are asked about, and the flows that come of these. Nothing may be read or
// written out of bounds; what is taken for rules decides the same each time; flows stay within their bounds.
#include "../../native/packet/bytes.h"
#include "../../native/packet/packet.h"
#include "../../native/router/rules/flows.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

int RAND_bytes(unsigned char *bytes, int length) {
  memset(bytes, 7, (size_t)length);
  return 1;
}

enum { FLOWS = 64, OF_ONE = 48, SECOND = 1000000000 };

static struct router_flows flows;
static struct dp_group network;
static struct router_flow_owner device;
static uint64_t now = 1;

static void follow(const struct dp_tuple *tuple, enum router_direction direction, const uint8_t *other) {
  struct router_flow_key key;
  struct dp_tuple first;
  if (!router_flow_key(tuple, direction, other, &key)) {
    if (!tuple->fragment) return;
    router_flow_fragments(tuple, other, &key);
  }
  struct router_flow *flow = router_flows_find(&flows, &device, &key, now);
  if (flow == NULL) flow = router_flows_add(&flows, &device, &key, direction, now);
  if (flow == NULL || flow != router_flows_find(&flows, &device, &key, now)) abort();
  router_flow_use(flow, direction, tuple, now);
  (void)router_flow_tuple(flow, &first);
  if (flows.count > OF_ONE || device.share.holder.held != flows.count) abort();
}

static void ask(const struct router_rules *rules, const uint8_t *packet, uint32_t length, uint8_t how) {
  struct dp_tuple tuple, quoted;
  const uint8_t *source, *destination;
  if (dp_tuple_quoted(packet, length, &quoted, &source, &destination) && (source < packet || destination + 16 > packet + length)) abort();
  if (!dp_tuple_read(packet, length, &tuple)) return;
  struct router_end self = {packet + 8, how & 3u, 1, ROUTER_ZONE_OWN}, other = {packet + 24, how >> 2 & 3u, how >> 4 & 3u, (enum router_zone)(how >> 6)};
  enum router_direction direction = (enum router_direction)(how & 1);
  uint32_t rule = router_rules_find(rules, direction, &self, &other, &tuple);
  if (rule != router_rules_find(rules, direction, &self, &other, &tuple)) abort();
  if (rule != ROUTER_NO_RULE) {
    if (rule >= router_rules_size(rules)) abort();
    (void)router_rules_allow(rules, rule);
  }
  follow(&tuple, direction, packet + 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bool memory;
  if (size < 3) return 0;
  size_t length = dp_get16(data);
  data += 2, size -= 2;
  if (length > size) length = size;
  // The memory ends where the rules do.
  uint8_t *bytes = malloc(length + 1);
  memcpy(bytes, data, length);
  struct router_rules *rules = router_rules_new(bytes, length, 2, &memory);
  free(bytes);
  if (rules == NULL) return 0;
  if (!router_flows_init(&flows, FLOWS, OF_ONE)) abort();
  router_flows_group(&flows, &network);
  router_flows_join(&network, &device);
  // Packets of up to 255 bytes: how they come, how long they are, what they are.
  for (size_t at = length; at + 2 < size;) {
    uint8_t how = data[at], wanted = data[at + 1];
    uint32_t left = (uint32_t)(size - at - 2), taken = wanted < left ? wanted : left;
    if (taken >= DP_IPV6_HEADER) {
      uint8_t *packet = malloc(taken);
      memcpy(packet, data + at + 2, taken);
      ask(rules, packet, taken, how);
      free(packet);
    }
    now += (uint64_t)how * SECOND;
    router_flows_sweep(&flows, &device, now);
    at += 2 + taken;
  }
  router_flows_leave(&flows, &device);
  if (flows.count != 0) abort();
  router_flows_free(&flows);
  router_rules_release(rules);
  return 0;
}
