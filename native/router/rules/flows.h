// The flows of one thread's devices that rules have decided on: what belongs to one passes in both directions. Devices share the room in equal
// shares, networks first (transport/shares.h); whoever has more than its share loses the flow that it has not used for longest.
#pragma once
#include "packet/bytes.h"
#include "packet/packet.h"
#include "packet/tuple.h"
#include "router/lookup/chain.h"
#include "rules.h"
#include "transport/shares.h"
#include <string.h>

enum {
  ROUTER_FLOW_ORDERED = 30,          // flows are in the order of their use to so many bits of nanoseconds, which is a second
  ROUTER_FLOWS = 1 << 18,            // of a thread
  ROUTER_FLOWS_OF_DEVICE = 1 << 14,  // so that a device that disconnects stops its thread for a millisecond at most
};

// What tells a flow from the others of its device. `rest`: protocol, own port and the other end's. `behind`: the last bytes of the address of the
// machine behind the device whose flow it is; 0: the device's own.
struct router_flow_key {
  uint64_t other[2], rest, behind;
};

// What every packet of it needs is in one line of the cache.
struct router_flow {
  _Alignas(64) struct router_flow_key key;
  struct router_flow_owner *owner;
  struct router_rule_count *count;  // of the rule that let it pass; NULL: none did
  uint64_t last;                    // when a packet of it was seen
  uint32_t generation;              // of the rules that were asked
  uint8_t direction;                // of its first packet
  bool answered, closing, refused;  // refused: newer rules do not let it pass any more
  struct router_flow *next;         // in its bucket
  struct router_chain used;
  uint8_t ended;  // TCP: the directions, as bits, in which FIN was seen
};

struct router_flows {
  struct router_flow **buckets;
  uint64_t factors[5];  // random, so that no attacker can choose flows that collide
  uint32_t count, most, most_of_one;
  struct dp_ranking groups;
};

// One device. Its network is a dp_group.
struct router_flow_owner {
  struct dp_share share;
  struct router_chain used;       // least recently used first
  struct router_flow *recent[2];  // that of the last packet in each direction, since the next one is mostly of it, too; or NULL
};

// At most so many flows in all and of one device. False without memory.
bool router_flows_init(struct router_flows *flows, uint32_t most, uint32_t most_of_one);
// All owners must have left.
void router_flows_free(struct router_flows *flows);
void router_flows_group(struct router_flows *flows, struct dp_group *network);
void router_flows_join(struct dp_group *network, struct router_flow_owner *owner);
// Forgets its flows. Nothing if it has not joined.
void router_flows_leave(struct router_flows *flows, struct router_flow_owner *owner);

enum { ROUTER_FLOW_BUCKETS = 1 << 17 };

static inline uint64_t router_flow_mix(uint64_t value, uint64_t factor) {
  value *= factor;
  return value ^ value >> 32;
}

// The words are mixed beside each other, not one after the other: this is done for every packet.
static inline struct router_flow **router_flow_bucket(const struct router_flows *flows, const struct router_flow_owner *owner,
                                                      const struct router_flow_key *key) {
  const uint64_t *factors = flows->factors;
  uint64_t hash = router_flow_mix(key->rest, factors[0]) + router_flow_mix(key->other[0], factors[1]) +
                  router_flow_mix(key->other[1], factors[2]) + router_flow_mix((uintptr_t)owner, factors[3]) +
                  router_flow_mix(key->behind, factors[4]);
  return &flows->buckets[router_flow_mix(hash, 0xd6e8feb86659fd93u) & (ROUTER_FLOW_BUCKETS - 1)];
}

static inline bool router_flow_has(const struct router_flow *flow, const struct router_flow_key *key) {
  return flow->key.rest == key->rest && flow->key.other[1] == key->other[1] && flow->key.other[0] == key->other[0] &&
         flow->key.behind == key->behind;
}

static inline struct router_flow *router_flow_at(const struct router_flows *flows, const struct router_flow_owner *owner,
                                                 const struct router_flow_key *key) {
  struct router_flow *flow = *router_flow_bucket(flows, owner, key);
  while (flow != NULL && (flow->owner != owner || !router_flow_has(flow, key))) flow = flow->next;
  return flow;
}

// The same where many packets of one flow come in one direction.
static inline struct router_flow *router_flow_recent(const struct router_flows *flows, struct router_flow_owner *owner,
                                                     enum router_direction direction, const struct router_flow_key *key) {
  struct router_flow *flow = owner->recent[direction];
  if (flow != NULL && router_flow_has(flow, key)) return flow;
  return owner->recent[direction] = router_flow_at(flows, owner, key);
}

// The key of a packet from or to a device itself whose other end is `other`; false if packets like it are no flow.
bool router_flow_key(const struct dp_tuple *tuple, enum router_direction direction, const uint8_t other[16], struct router_flow_key *key);
// The same of TCP without FIN and RST, or UDP, right behind an IPv6 header; false for everything else, also if it is malformed.
static inline bool router_flow_plain(const uint8_t *packet, uint32_t length, enum router_direction direction, struct router_flow_key *key) {
  uint8_t protocol = packet[6];
  bool out = direction == ROUTER_OUT;
  if (protocol == DP_TCP) {
    uint32_t header = length < DP_IPV6_HEADER + DP_TCP_HEADER ? 0 : 4u * (packet[DP_IPV6_HEADER + 12] >> 4);
    if (header < DP_TCP_HEADER || length < DP_IPV6_HEADER + header || (packet[DP_IPV6_HEADER + 13] & (DP_FIN | DP_RST)) != 0) return false;
  } else if (protocol != DP_UDP || length < DP_IPV6_HEADER + DP_UDP_HEADER) {
    return false;
  }
  uint32_t ports = dp_get32(packet + DP_IPV6_HEADER);
  memcpy(key->other, packet + (out ? 24 : 8), sizeof key->other);
  key->rest = (uint64_t)protocol << 40 | (out ? ports : ports << 16 | ports >> 16);
  key->behind = 0;
  return true;
}
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
// The same for one without FIN and RST.
static inline void router_flow_touch(struct router_flow *flow, enum router_direction direction, uint64_t now) {
  if (direction != flow->direction) flow->answered = true;
  bool ordered = now >> ROUTER_FLOW_ORDERED == flow->last >> ROUTER_FLOW_ORDERED;
  flow->last = now;
  if (ordered) return;
  router_chain_remove(&flow->used);
  router_chain_append(&flow->owner->used, &flow->used);
}
void router_flows_remove(struct router_flows *flows, struct router_flow *flow);
// Forgets some flows of the device that were not used for too long.
void router_flows_sweep(struct router_flows *flows, struct router_flow_owner *owner, uint64_t now);
