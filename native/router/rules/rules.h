// The rules of one network as the router's threads apply them: who reaches whom. A set never changes; all threads share it until a newer one
// replaces it. The first rule that fits decides, which takes a few look-ups and at most sixteen words of bits for each condition, however many
// rules there are.
//
// A rule comes from JavaScript (fabric/router/rules.ts) as ROUTER_RULE bytes, numbers big-endian:
//
//    0  action: 0 deny, 1 allow        4  protocol: 0 any, 1 TCP, 2 UDP, 3 ICMPv6     12  number of the device's group     24  the device's address
//    1  direction: 0 in, 1 out         5  zeros                                       16  of the other end's group         40  the other end's
//    2  devices: enum router_party     8  first port                                  20  of the other end's network
//    3  other end: the same           10  last port
//
// What a party does not need is 0. Ports are those that are connected to; 0 to 65,535 unless the protocol is TCP or UDP.
#pragma once
#include "packet/tuple.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  ROUTER_RULE = 56,
  ROUTER_MOST_RULES = 1000,  // of one network
  ROUTER_NO_RULE = 0xffff,
};

// As the device sees it.
enum router_direction { ROUTER_IN, ROUTER_OUT };

// Who a rule is about. Of its devices: ANY, GROUP, DEVICE. ANY at the other end is everybody of this network, the host and what is outside; a
// rule that denies means everybody else, too. OWN is the network itself, NETWORK another one.
enum router_party {
  ROUTER_PARTY_ANY,
  ROUTER_PARTY_GROUP,
  ROUTER_PARTY_DEVICE,
  ROUTER_PARTY_OWN,
  ROUTER_PARTY_NETWORK,
  ROUTER_PARTY_HOST,
  ROUTER_PARTY_OUTSIDE,
};

// Where the other end is.
enum router_zone { ROUTER_ZONE_OWN, ROUTER_ZONE_FOREIGN, ROUTER_ZONE_HOST, ROUTER_ZONE_OUTSIDE };

// An end of a packet. `group` is 0 if it is none of a connected device.
struct router_end {
  const uint8_t *address;
  uint32_t group, network;
  enum router_zone zone;
};

// What a thread has counted of a rule: packets that it has decided on, also by an established flow.
struct router_rule_count {
  _Atomic uint64_t packets, bytes;
};

struct router_rules;

// From `length` bytes, for so many threads. NULL: they are no rules of one network, or `*memory` is set to false.
struct router_rules *router_rules_new(const uint8_t *bytes, size_t length, uint32_t threads, bool *memory);
// NULL does nothing.
struct router_rules *router_rules_keep(struct router_rules *rules);
void router_rules_release(struct router_rules *rules);
// How many there are, and for how many threads.
uint32_t router_rules_size(const struct router_rules *rules);
uint32_t router_rules_threads(const struct router_rules *rules);
// The place of the first rule that fits; ROUTER_NO_RULE if none does.
uint32_t router_rules_find(const struct router_rules *rules, enum router_direction direction, const struct router_end *device,
                           const struct router_end *other, const struct dp_tuple *tuple);
bool router_rules_allow(const struct router_rules *rules, uint32_t rule);
// Does a rule let anything in from the other network of that number? NULL: no.
bool router_rules_open_to(const struct router_rules *rules, uint32_t network);
// For the thread of that number to write; all threads may read it.
struct router_rule_count *router_rules_count(struct router_rules *rules, uint32_t thread, uint32_t rule);
