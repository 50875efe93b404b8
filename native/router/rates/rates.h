// The rate limits of one network as the router's threads apply them: how many packets and bytes a second each of its devices may get and send. A set
// never changes; all threads share it until a newer one replaces it.
//
// A limit comes from JavaScript (fabric/router/rates.ts) as ROUTER_RATE bytes, numbers big-endian:
//
//    0  whose: enum router_rate_party    4  number of the group    24  packets that come in, a second    40  packets that go out
//    1  zeros                            8  the device's address   32  bytes that come in                48  bytes that go out
//
// What a party does not need is 0. Of two values the one of fewer devices counts, but none is above that of ROUTER_RATE_MAX.
#pragma once
#include "router/rules/rules.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  ROUTER_RATE = 56,
  ROUTER_MOST_RATES = 1002,  // of one network: a thousand of groups and devices, and the two of all
};

// In place of a rate: 0: no limit. All bits: that of more devices counts.
#define ROUTER_RATE_INHERITED UINT64_MAX

enum router_rate_party { ROUTER_RATE_MAX, ROUTER_RATE_ANY, ROUTER_RATE_GROUP, ROUTER_RATE_DEVICE };

// In a second; 0: no limit.
struct router_rate {
  uint64_t packets, bytes;
};

struct router_rates;

// From `length` bytes. NULL: they are no limits of one network, or `*memory` is set to false.
struct router_rates *router_rates_new(const uint8_t *bytes, size_t length, bool *memory);
// NULL does nothing.
struct router_rates *router_rates_keep(struct router_rates *rates);
void router_rates_release(struct router_rates *rates);
// What a device may get (ROUTER_IN) and send (ROUTER_OUT).
void router_rates_find(const struct router_rates *rates, uint32_t group, const uint8_t address[16], struct router_rate found[2]);
