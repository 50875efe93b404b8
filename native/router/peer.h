// What JavaScript and the router's threads share of one peer: identity and counters. Each pointer to it is a counted reference.
#pragma once
#include "packet/counters.h"
#include <stdbool.h>
#include <stddef.h>

// Why packets from or to a device were dropped. Its link counts some reasons itself.
#define ROUTER_DROPS(X)              \
  X(malformed, "malformed")          \
  X(spoofed, "spoofed")              \
  X(host_spoofed, "host-spoofed")    \
  X(unroutable, "unroutable")        \
  X(foreign_network, "foreign-network") \
  X(refused, "refused")              \
  X(limited, "limited")              \
  X(offline, "offline")              \
  X(no_tun, "no-tun")                \
  X(tun_refused, "tun-refused")      \
  X(too_long, "too-long")            \
  X(queue_full, "queue-full")        \
  X(late, "late")

struct router_drops {
#define ROUTER_DROP_FIELD(field, name) _Atomic uint64_t field;
  ROUTER_DROPS(ROUTER_DROP_FIELD)
#undef ROUTER_DROP_FIELD
};

struct router_thread;
struct router_connection;

struct router_peer {
  _Atomic uint32_t references;
  uint64_t id;
  struct router_thread *thread;
  struct router_connection *connection;  // the thread's: NULL once it is over
  uint8_t address[16];                   // set before any route leads to it
  struct dp_counters counters;           // of its link; received_packets and received_bytes are those of the device
  struct router_drops drops;
};

// With one reference; NULL without memory.
struct router_peer *router_peer_new(struct router_thread *thread, struct router_connection *connection);
struct router_peer *router_peer_keep(struct router_peer *peer);
// For `thread`: NULL if the connection is over or another thread's, which may end it at any time.
static inline struct router_connection *router_peer_connection(const struct router_peer *peer, const struct router_thread *thread) {
  return peer->thread == thread ? peer->connection : NULL;
}
// NULL does nothing.
void router_peer_release(struct router_peer *peer);
