// The fabric's networks: which /64s are registered, and the number of each; and the pools out of which /64s are delegated to the devices of a
// network. A list never changes: all threads share it until a newer one replaces it.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  ROUTER_PREFIX = 8,  // bytes of a /64
  ROUTER_POOL = 13,   // of a pool: the first bytes of its prefix, the number of the network, and the length of the prefix, 1 to 64
};

struct router_networks;

// Of `count` prefixes, ROUTER_PREFIX bytes each, one after the other; the one at place i has the number i + 1. Likewise of `pool_count` pools, none of
// which overlaps another one or a network. With one reference; NULL without memory.
struct router_networks *router_networks_new(const uint8_t *prefixes, uint32_t count, const uint8_t *pools, uint32_t pool_count);
// NULL does nothing.
struct router_networks *router_networks_keep(struct router_networks *networks);
void router_networks_release(struct router_networks *networks);
// The number of the network in which the address lies, or of whose devices it is; 0 if of none.
uint32_t router_networks_find(const struct router_networks *networks, const uint8_t address[16]);
// Is the address in one of the networks, and not the host's own there, <prefix>::1, or in a pool?
bool router_networks_have_device(const struct router_networks *networks, const uint8_t address[16]);
// Is the address in a pool?
bool router_networks_delegate(const struct router_networks *networks, const uint8_t address[16]);
