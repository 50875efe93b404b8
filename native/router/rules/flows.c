#include "flows.h"
#include "packet/packet.h"
#include "packet/wire.h"
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum {
  FRAGMENTS = 44,  // in place of a protocol
  SWEPT = 256,     // flows of a device in one sweep
};

static const uint64_t SECOND = 1000000000;

// Without memory pages for buckets that are not used.
bool router_flows_init(struct router_flows *flows, uint32_t most, uint32_t most_of_one) {
  *flows = (struct router_flows){.most = most, .most_of_one = most_of_one, .buckets = calloc(ROUTER_FLOW_BUCKETS, sizeof *flows->buckets)};
  bool random = RAND_bytes((unsigned char *)flows->factors, sizeof flows->factors) == 1;
  for (size_t i = 0; i < sizeof flows->factors / sizeof *flows->factors; i++) flows->factors[i] |= 1;
  return flows->buckets != NULL && random;
}

void router_flows_free(struct router_flows *flows) { free(flows->buckets); }

void router_flows_group(struct router_flows *flows, struct dp_group *network) { *network = (struct dp_group){.groups = &flows->groups}; }

void router_flows_join(struct dp_group *network, struct router_flow_owner *owner) {
  *owner = (struct router_flow_owner){.share.group = network};
  router_chain_init(&owner->used);
}

static struct router_flow *first_of(struct router_flow_owner *owner) {
  return router_chain_empty(&owner->used) ? NULL : ROUTER_CHAINED(struct router_flow, used, owner->used.next);
}

void router_flows_leave(struct router_flows *flows, struct router_flow_owner *owner) {
  if (owner->share.group == NULL) return;
  for (struct router_flow *flow; (flow = first_of(owner)) != NULL;) router_flows_remove(flows, flow);
  owner->share.group = NULL;
}

static uint64_t rest_of(uint8_t protocol, uint8_t role, uint32_t ports) { return (uint64_t)protocol << 40 | (uint64_t)role << 32 | ports; }

bool router_flow_key(const struct dp_tuple *tuple, enum router_direction direction, const uint8_t other[16], struct router_flow_key *key) {
  bool out = direction == ROUTER_OUT;
  uint32_t ports = (uint32_t)(out ? tuple->source_port : tuple->destination_port) << 16 | (out ? tuple->destination_port : tuple->source_port);
  uint8_t role = 0;
  if (tuple->hidden) return false;
  if (tuple->protocol == WIRE_ICMPV6) {
    if (tuple->type != WIRE_ECHO_REQUEST && tuple->type != WIRE_ECHO_REPLY) return false;
    role = out == (tuple->type == WIRE_ECHO_REQUEST) ? 1 : 2;  // the device asks, or is asked
  }
  memcpy(key->other, other, sizeof key->other);
  key->rest = rest_of(tuple->protocol, role, ports);
  key->behind = 0;
  return true;
}

void router_flow_fragments(const struct dp_tuple *tuple, const uint8_t other[16], struct router_flow_key *key) {
  memcpy(key->other, other, sizeof key->other);
  key->rest = rest_of(FRAGMENTS, 0, tuple->identification);
  key->behind = 0;
}

bool router_flow_tuple(const struct router_flow *flow, struct dp_tuple *tuple) {
  uint16_t own = (uint16_t)(flow->key.rest >> 16), other = (uint16_t)flow->key.rest;
  bool out = flow->direction == ROUTER_OUT;
  *tuple = (struct dp_tuple){.protocol = (uint8_t)(flow->key.rest >> 40), .source_port = out ? own : other, .destination_port = out ? other : own};
  if (tuple->protocol == WIRE_ICMPV6) tuple->type = WIRE_ECHO_REQUEST;
  return tuple->protocol != FRAGMENTS;
}

const uint8_t *router_flow_other(const struct router_flow *flow) { return (const uint8_t *)flow->key.other; }

// Of what is not answered yet, or over, less is expected. TCP: RFC 5382 (REQ-5); UDP: RFC 4787 (REQ-5).
static uint64_t lifetime(const struct router_flow *flow) {
  switch ((uint8_t)(flow->key.rest >> 40)) {
    case DP_TCP: return (flow->closing ? 10 : flow->answered ? 7440 : 60) * SECOND;
    case DP_UDP: return (flow->answered ? 300 : 60) * SECOND;
    case WIRE_ICMPV6:
    case FRAGMENTS: return 60 * SECOND;
    default: return 600 * SECOND;
  }
}

static bool is_over(const struct router_flow *flow, uint64_t now) { return now > flow->last && now - flow->last > lifetime(flow); }

struct router_flow *router_flows_find(struct router_flows *flows, struct router_flow_owner *owner, const struct router_flow_key *key, uint64_t now) {
  struct router_flow *flow = router_flow_at(flows, owner, key);
  if (flow == NULL || !is_over(flow, now)) return flow;
  router_flows_remove(flows, flow);
  return NULL;
}

void router_flows_remove(struct router_flows *flows, struct router_flow *flow) {
  struct router_flow **at = router_flow_bucket(flows, flow->owner, &flow->key);
  while (*at != flow) at = &(*at)->next;
  *at = flow->next;
  router_chain_remove(&flow->used);
  dp_share_remove(&flow->owner->share, 1);
  for (int i = 0; i < 2; i++)
    if (flow->owner->recent[i] == flow) flow->owner->recent[i] = NULL;
  flows->count--;
  free(flow);
}

// The owner itself if it has all that one may have, else whoever holds most, gives what it has not used for longest.
static void make_room(struct router_flows *flows, struct router_flow_owner *owner) {
  if (owner->share.holder.held >= flows->most_of_one) router_flows_remove(flows, first_of(owner));
  while (flows->count >= flows->most) {
    struct dp_share *largest = dp_share_largest(&flows->groups);
    router_flows_remove(flows, first_of(ROUTER_CHAINED(struct router_flow_owner, share, largest)));
  }
}

struct router_flow *router_flows_add(struct router_flows *flows, struct router_flow_owner *owner, const struct router_flow_key *key,
                                     enum router_direction direction, uint64_t now) {
  make_room(flows, owner);
  struct router_flow *flow = aligned_alloc(_Alignof(struct router_flow), sizeof *flow), **bucket = router_flow_bucket(flows, owner, key);
  if (flow == NULL) return NULL;
  *flow = (struct router_flow){.next = *bucket, .key = *key, .owner = owner, .last = now, .direction = (uint8_t)direction};
  *bucket = flow;
  router_chain_append(&owner->used, &flow->used);
  dp_share_add(&owner->share, 1);
  flows->count++;
  return flow;
}

void router_flow_use(struct router_flow *flow, enum router_direction direction, const struct dp_tuple *tuple, uint64_t now) {
  if (tuple->protocol == DP_TCP && (tuple->flags & (DP_FIN | DP_RST)) != 0) {
    flow->ended |= (uint8_t)(1 << direction);
    flow->closing = (tuple->flags & DP_RST) != 0 || flow->ended == 3;
  }
  router_flow_touch(flow, direction, now);
}

void router_flows_sweep(struct router_flows *flows, struct router_flow_owner *owner, uint64_t now) {
  struct router_flow *flow;
  if (owner->share.group == NULL) return;
  for (int i = 0; i < SWEPT && (flow = first_of(owner)) != NULL && is_over(flow, now); i++) router_flows_remove(flows, flow);
}
