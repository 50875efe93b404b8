// The flows of one thread's devices that rules have decided on: what belongs to one passes in both directions. Devices share the room in equal
// shares, networks first (transport/shares.h); whoever has more than its share loses the flow that it has not used for longest.
#pragma once
#include "packet/tuple.h"
#include "router/lookup/chain.h"
#include "rules.h"
#include "transport/shares.h"

enum {
  ROUTER_FLOWS = 1 << 18,            // of a thread
  ROUTER_FLOWS_OF_DEVICE = 1 << 14,  // so that a device that disconnects stops its thread for a millisecond at most
};

// What tells a flow from the others of its device. `rest`: protocol, own port and the other end's.
struct router_flow_key {
  uint64_t other[2], rest;
};

struct router_flow {
  struct router_flow *next;
  struct router_flow_key key;
  struct router_flow_owner *owner;
  struct router_chain used;
  uint64_t last, ordered;  // when a packet of it was seen, and when it was put behind the others of its owner
  uint32_t generation;  // of the rules that were asked
  uint16_t rule;        // that let it pass, or ROUTER_NO_RULE
  uint8_t direction;    // of its first packet
  bool answered, closing, refused;  // refused: newer rules do not let it pass any more
  uint8_t ended;  // TCP: the directions, as bits, in which FIN was seen
};

struct router_flows {
  struct router_flow **buckets;
  uint64_t seed;
  uint32_t count, most, most_of_one;
  struct dp_ranking groups;
};

// One device. Its network is a dp_group.
struct router_flow_owner {
  struct dp_share share;
  struct router_chain used;  // least recently used first
};

// At most so many flows in all and of one device. False without memory.
bool router_flows_init(struct router_flows *flows, uint32_t most, uint32_t most_of_one);
// All owners must have left.
void router_flows_free(struct router_flows *flows);
void router_flows_group(struct router_flows *flows, struct dp_group *network);
void router_flows_join(struct dp_group *network, struct router_flow_owner *owner);
// Forgets its flows. Nothing if it has not joined.
void router_flows_leave(struct router_flows *flows, struct router_flow_owner *owner);

// The key of a packet from or to a device whose other end is `other`; false if packets like it are no flow.
bool router_flow_key(const struct dp_tuple *tuple, enum router_direction direction, const uint8_t other[16], struct router_flow_key *key);
// The key of the fragments of a packet.
void router_flow_fragments(const struct dp_tuple *tuple, const uint8_t other[16], struct router_flow_key *key);
// The tuple of its first packet; false if that is not known: of fragments.
bool router_flow_tuple(const struct router_flow *flow, struct dp_tuple *tuple);
const uint8_t *router_flow_other(const struct router_flow *flow);
// NULL if there is none, or it was not used for too long.
struct router_flow *router_flows_find(struct router_flows *flows, struct router_flow_owner *owner, const struct router_flow_key *key, uint64_t now);
// A flow that is not there yet. NULL without memory.
struct router_flow *router_flows_add(struct router_flows *flows, struct router_flow_owner *owner, const struct router_flow_key *key,
                                     enum router_direction direction, uint64_t now);
// Notes that a packet has passed.
void router_flow_use(struct router_flow *flow, enum router_direction direction, const struct dp_tuple *tuple, uint64_t now);
void router_flows_remove(struct router_flows *flows, struct router_flow *flow);
// Forgets some flows of the device that were not used for too long.
void router_flows_sweep(struct router_flows *flows, struct router_flow_owner *owner, uint64_t now);
