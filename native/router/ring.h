// A lock-free ring buffer for frames from one thread to another: one writer, one reader. What does not fit is refused.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ROUTER_RING_BYTES are for whoever comes first; as many again are shared out.
enum { ROUTER_RING_BYTES = 1 << 20, ROUTER_RING_ROOM = 2 * ROUTER_RING_BYTES };

struct router_ring {
  uint8_t *bytes;
  _Alignas(64) _Atomic size_t head;  // read so far; the reader's
  _Alignas(64) _Atomic size_t tail;  // written so far; the writer's
};

// How much of a ring a sender has, or all senders of a network: never less than that. What was written until `since` has been read once
// the reader gets there, so two counts in turns are enough.
struct router_ring_use {
  size_t since, last;       // last: where its newest record ends
  uint32_t recent, before;  // bytes
};

// False without memory. Pages are only taken as they are used.
bool router_ring_init(struct router_ring *ring);
void router_ring_free(struct router_ring *ring);
// The writer: room for `length` bytes, at most 128 KB, that will carry `tag`; NULL if the ring is full. Nothing is visible before
// router_ring_commit, which takes the same length.
uint8_t *router_ring_reserve(struct router_ring *ring, uint32_t length, uint32_t tag);
// The same for a sender of a network: beyond ROUTER_RING_BYTES as long as that leaves another sender, and another network, no less than it
// has itself.
uint8_t *router_ring_reserve_share(struct router_ring *ring, struct router_ring_use *sender, struct router_ring_use *network,
                                   uint32_t length, uint32_t tag);
void router_ring_commit(struct router_ring *ring, uint32_t length);
// Counts what was committed last.
void router_ring_count(const struct router_ring *ring, struct router_ring_use *sender, struct router_ring_use *network, uint32_t length);
// The reader: the oldest record, which may be written to until router_ring_release; NULL if there is none.
uint8_t *router_ring_next(struct router_ring *ring, uint32_t *length, uint32_t *tag);
void router_ring_release(struct router_ring *ring, uint32_t length);
bool router_ring_empty(const struct router_ring *ring);
