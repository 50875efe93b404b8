// Decides at accept, before any TLS work, whether a connection may begin a handshake: limits pending handshakes, per source and in all,
// and refusals per source (a token bucket) and per prefix of sources. Shared by the router's threads.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct router_ratelimit_limits {
  uint32_t pending, pending_per_source;  // handshakes under way
  uint32_t refusal_burst, refusals_per_second;  // size and refill rate of a source's bucket
  uint32_t sources;  // remembered
};

struct router_account;

struct router_ratelimit {
  struct router_ratelimit_limits limits;
  pthread_mutex_t lock;
  _Atomic uint32_t pending;
  uint64_t seed;
  size_t size, count;
  struct router_account **buckets;
  struct router_account *oldest, *newest;
  uint64_t *wide;  // of prefixes wider than a source: until when their refusals so far take to be forgiven
};

// False without memory.
bool router_ratelimit_init(struct router_ratelimit *ratelimit, const struct router_ratelimit_limits *limits);
void router_ratelimit_free(struct router_ratelimit *ratelimit);
// The source of an address: an IPv4 address, or the /64 of an IPv6 address, of which one party easily has many addresses.
uint64_t router_ratelimit_source(const struct sockaddr *peer);
// Has the source, or a prefix that it is in, been refused too often?
bool router_ratelimit_shut(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now);
// Has the source as many handshakes under way as it may have?
bool router_ratelimit_crowded(struct router_ratelimit *ratelimit, uint64_t source);
// Takes a slot for a handshake; false if there is none or the source was refused too often. `now` is monotonic, in nanoseconds.
bool router_ratelimit_acquire(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now);
// Gives the slot back, and charges the source if the handshake failed or the peer was refused.
void router_ratelimit_release(struct router_ratelimit *ratelimit, uint64_t source, bool refused, uint64_t now);
