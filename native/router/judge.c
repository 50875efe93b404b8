// Whether rules let a packet pass (docs/rules.md). The sender's thread asks those of the sender's network, the receiver's thread those of the
// receiver's: each knows the flows of its own devices, in both directions.
#include "router.h"
#include "packet/tuple.h"
#include <string.h>

static const uint64_t RECENT = 5000000000;  // nanoseconds: no flow is over so soon

// A packet from or to a device, and what is at its other end.
struct packet {
  struct router_connection *device;
  enum router_direction direction;
  const struct dp_frame *frame;
  struct dp_tuple tuple;
  uint64_t now;
};

static const struct router_tenant *tenant_of(const struct router_thread *thread, uint32_t network) {
  return network < thread->tenants_room ? thread->tenants[network] : NULL;
}

bool router_are_open(const struct router_thread *thread, uint32_t one, uint32_t other) {
  if (one == other) return true;
  const struct router_tenant *first = tenant_of(thread, one), *second = tenant_of(thread, other);
  return (second != NULL && router_rules_open_to(second->rules, one)) || (first != NULL && router_rules_open_to(first->rules, other));
}

void router_take_rules(struct router_thread *thread, uint32_t network, struct router_rules *rules) {
  struct router_tenant *tenant = router_tenant(thread, network);
  if (tenant == NULL) return;
  router_rules_release(tenant->rules);
  tenant->rules = router_rules_keep(rules);
  tenant->generation++;
}

static const uint8_t *address_of_other(const struct packet *packet) {
  return packet->frame->packet + (packet->direction == ROUTER_OUT ? 24 : 8);
}

// Which machine behind the device has the address: its last eight bytes; 0: the device itself.
static uint64_t behind(const struct router_connection *device, const uint8_t *own) {
  uint64_t machine;
  if (!device->own.has_prefix || memcmp(own, device->own.own, sizeof device->own.own) == 0) return 0;
  memcpy(&machine, own + ROUTER_PREFIX, sizeof machine);
  return machine;
}

static uint64_t machine_of(const struct packet *packet) {
  return behind(packet->device, packet->frame->packet + (packet->direction == ROUTER_OUT ? 8 : 24));
}

static enum router_zone zone_of(uint32_t own, uint32_t network) { return network == own ? ROUTER_ZONE_OWN : ROUTER_ZONE_FOREIGN; }

static struct router_end other_end(const struct router_connection *device, const uint8_t *address) {
  const struct router_thread *thread = device->thread;
  const struct router_route *route = router_route_to(thread, address);
  // What is behind a device is that device.
  if (route != NULL)
    return (struct router_end){route->peer->address, route->group, route->network, zone_of(device->network, route->network)};
  uint32_t network = thread->networks == NULL ? 0 : router_networks_find(thread->networks, address);
  const struct router_lookup *elsewhere = router_elsewhere(thread, address);
  if (network != 0 && elsewhere != NULL)
    return (struct router_end){router_lookup_device(elsewhere), elsewhere->group, network, zone_of(device->network, network)};
  bool is_host = network != 0 && !router_networks_have_device(thread->networks, address);
  enum router_zone zone = network == 0 ? ROUTER_ZONE_OUTSIDE : is_host ? ROUTER_ZONE_HOST : zone_of(device->network, network);
  return (struct router_end){address, 0, network, zone};
}

// Is the address in a network, but of no device that is connected, here or as far as is known at another node, so that nobody knows its group?
static bool is_away(const struct router_end *end) {
  return (end->zone == ROUTER_ZONE_OWN || end->zone == ROUTER_ZONE_FOREIGN) && end->group == 0;
}

// The rule that decides, or none; whether the packet passes. Without a rule it does, but not into a device from another network. What comes
// from a device that has disconnected meanwhile does not.
static bool decide(const struct router_connection *device, enum router_direction direction, const struct router_end *other,
                   const struct dp_tuple *tuple, uint32_t *rule) {
  const struct router_rules *rules = device->tenant->rules;
  struct router_end self = {device->own.own, device->group, device->network, ROUTER_ZONE_OWN};
  *rule = ROUTER_NO_RULE;
  if (direction == ROUTER_IN && is_away(other)) return false;
  if (rules != NULL) *rule = router_rules_find(rules, direction, &self, other, tuple);
  if (*rule != ROUTER_NO_RULE) return router_rules_allow(rules, *rule);
  return direction == ROUTER_OUT || other->zone != ROUTER_ZONE_FOREIGN;
}

// Where the thread counts what a rule has decided on; NULL: there is no rule.
static struct router_rule_count *count_of(const struct router_connection *device, uint32_t rule) {
  return rule == ROUTER_NO_RULE ? NULL : router_rules_count(device->tenant->rules, device->thread->index, rule);
}

static void count(struct router_rule_count *counted, const struct dp_frame *frame) {
  if (counted == NULL) return;
  dp_add(&counted->packets, frame->gso == DP_GSO_NONE ? 1 : dp_segments(frame));
  dp_add(&counted->bytes, frame->length);
}

// Asks newer rules about a flow as they would be asked about its first packet.
static void review(struct router_connection *device, struct router_flow *flow) {
  uint32_t rule = ROUTER_NO_RULE, generation = device->tenant->generation;
  struct dp_tuple first;
  if (flow->generation == generation) return;
  flow->generation = generation;
  struct router_end other = other_end(device, router_flow_other(flow));
  bool known = router_flow_tuple(flow, &first);
  flow->refused = !known || !decide(device, (enum router_direction)flow->direction, &other, &first, &rule);
  flow->count = count_of(device, rule);
}

static struct router_flow *find_flow(const struct packet *packet, const struct router_flow_key *key) {
  struct router_connection *device = packet->device;
  struct router_flow *flow = router_flows_find(&device->thread->flows, &device->flows, key, packet->now);
  if (flow != NULL) review(device, flow);
  return flow;
}

static bool begins_connection(const struct dp_tuple *tuple) { return (tuple->flags & (DP_SYN | DP_ACK)) == DP_SYN; }

// May a packet without a flow begin one? What is in the middle of a TCP connection does not tell who began that, so once the rules have changed
// under the device's tunnel it may have been refused.
static bool may_begin(const struct packet *packet) {
  const struct dp_tuple *tuple = &packet->tuple;
  if (tuple->protocol == WIRE_ICMPV6) return tuple->type == WIRE_ECHO_REQUEST;
  if (tuple->protocol != DP_TCP) return true;
  if ((tuple->flags & DP_RST) != 0) return false;
  return begins_connection(tuple) || packet->device->since == packet->device->tenant->generation;
}

static void add_flow(const struct packet *packet, const struct router_flow_key *key, struct router_rule_count *counted) {
  struct router_connection *device = packet->device;
  struct router_flow *flow = router_flows_add(&device->thread->flows, &device->flows, key, packet->direction, packet->now);
  if (flow == NULL) return;
  flow->generation = device->tenant->generation;
  flow->count = counted;
}

// The fragments that follow have no ports.
static void expect_fragments(const struct packet *packet, struct router_rule_count *counted) {
  struct router_flow_key key;
  if (!packet->tuple.fragment || packet->tuple.hidden) return;
  router_flow_fragments(&packet->tuple, address_of_other(packet), &key);
  key.behind = machine_of(packet);
  if (find_flow(packet, &key) == NULL) add_flow(packet, &key, counted);
}

static bool pass_with(const struct packet *packet, struct router_flow *flow) {
  router_flow_use(flow, packet->direction, &packet->tuple, packet->now);
  count(flow->count, packet->frame);
  expect_fragments(packet, flow->count);
  return true;
}

// An ICMPv6 error passes if it is about a packet of a flow, which went the other way.
static bool is_about_flow(const struct packet *packet) {
  const struct dp_frame *frame = packet->frame;
  enum router_direction way = packet->direction == ROUTER_OUT ? ROUTER_IN : ROUTER_OUT;
  const uint8_t *source, *destination;
  struct router_flow_key key;
  struct dp_tuple quoted;
  if (packet->tuple.protocol != WIRE_ICMPV6 || !dp_tuple_quoted(frame->packet, frame->length, &quoted, &source, &destination)) return false;
  const uint8_t *own = way == ROUTER_OUT ? source : destination;
  if (!dp_is_own(&packet->device->own, own)) return false;
  if (!router_flow_key(&quoted, way, way == ROUTER_OUT ? destination : source, &key)) return false;
  key.behind = behind(packet->device, own);
  struct router_flow *flow = find_flow(packet, &key);
  return flow != NULL && !flow->refused;
}

static bool judge(const struct packet *packet) {
  const struct dp_tuple *tuple = &packet->tuple;
  const uint8_t *address = address_of_other(packet);
  struct router_flow_key key;
  struct router_flow *flow = NULL;
  bool is_flow = router_flow_key(tuple, packet->direction, address, &key);
  if (!is_flow && tuple->fragment) router_flow_fragments(tuple, address, &key);
  key.behind = machine_of(packet);
  if (is_flow || tuple->fragment) flow = find_flow(packet, &key);
  if (flow != NULL && !flow->refused) return pass_with(packet, flow);
  if (!is_flow && is_about_flow(packet)) return true;
  uint32_t rule;
  struct router_end other = other_end(packet->device, address);
  bool passes = decide(packet->device, packet->direction, &other, tuple, &rule);
  struct router_rule_count *counted = count_of(packet->device, rule);
  count(counted, packet->frame);
  // Whoever connects at that address later may be of a group that rules name.
  if (!passes || !is_flow || is_away(&other)) return passes;
  expect_fragments(packet, counted);
  // One that newer rules have ended is not begun again by what still comes of it.
  if (flow != NULL && !(tuple->protocol == DP_TCP && begins_connection(tuple))) {
    router_flow_use(flow, packet->direction, tuple, packet->now);
    return true;
  }
  if (flow != NULL) router_flows_remove(&packet->device->thread->flows, flow);
  if (may_begin(packet)) add_flow(packet, &key, counted);
  return true;
}

// Almost every packet is TCP or UDP right behind the IPv6 header, and of a flow that has just been used: then nothing else has to be known of it.
static bool passes_at_once(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now) {
  const uint8_t *packet = frame->packet;
  struct router_flow_key key;
  if (!router_flow_plain(packet, frame->length, direction, &key)) return false;
  key.behind = behind(device, packet + (direction == ROUTER_OUT ? 8 : 24));
  struct router_flow *flow = router_flow_recent(&device->thread->flows, &device->flows, direction, &key);
  if (flow == NULL || flow->generation != device->tenant->generation || flow->refused || now > flow->last + RECENT) return false;
  router_flow_touch(flow, direction, now);
  count(flow->count, frame);
  return true;
}

bool router_judge(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now) {
  if (passes_at_once(device, direction, frame, now)) return true;
  struct packet packet = {.device = device, .direction = direction, .frame = frame, .now = now};
  struct router_drops *drops = &device->peer->drops;
  if (!dp_tuple_read(frame->packet, frame->length, &packet.tuple)) {
    dp_add(&drops->malformed, 1);
    return false;
  }
  if (judge(&packet)) return true;
  dp_add(&drops->refused, 1);
  return false;
}
