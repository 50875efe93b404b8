#include "ring.h"
#include <stdlib.h>

// A record: header, bytes, padding to a multiple of eight. One that would cross the end of the buffer is put at its beginning, behind a
// header with SKIP at the end.
struct header {
  uint32_t length, tag;
};

#define SKIP UINT32_MAX
enum { MASK = ROUTER_RING_ROOM - 1, LONGEST = 128 * 1024 };

static size_t size_of(uint32_t length) { return sizeof(struct header) + (((size_t)length + 7) & ~(size_t)7); }

static struct header *header_at(const struct router_ring *ring, size_t position) {
  return (struct header *)(void *)(ring->bytes + (position & MASK));
}

static size_t until_end(size_t position) { return ROUTER_RING_ROOM - (position & MASK); }

bool router_ring_init(struct router_ring *ring) {
  atomic_init(&ring->head, 0);
  atomic_init(&ring->tail, 0);
  ring->bytes = calloc(1, ROUTER_RING_ROOM);
  return ring->bytes != NULL;
}

void router_ring_free(struct router_ring *ring) {
  free(ring->bytes);
  ring->bytes = NULL;
}

// Where a record of that size goes if it is written at `tail`.
static size_t place(size_t tail, size_t size) { return until_end(tail) < size ? tail + until_end(tail) : tail; }

// Room behind `tail`, if the ring then holds no more than `most`.
static uint8_t *reserve(struct router_ring *ring, size_t head, size_t tail, size_t most, uint32_t length, uint32_t tag) {
  size_t size = size_of(length), at = place(tail, size);
  if (length > LONGEST || at + size - head > most) return NULL;
  if (at != tail) *header_at(ring, tail) = (struct header){.length = SKIP};
  struct header *header = header_at(ring, at);
  *header = (struct header){length, tag};
  return (uint8_t *)(header + 1);
}

uint8_t *router_ring_reserve(struct router_ring *ring, uint32_t length, uint32_t tag) {
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  return reserve(ring, head, tail, ROUTER_RING_BYTES, length, tag);
}

static uint32_t used(struct router_ring_use *use, size_t head, size_t tail) {
  if ((ptrdiff_t)(head - use->last) >= 0) *use = (struct router_ring_use){.since = tail, .last = use->last};
  else if ((ptrdiff_t)(head - use->since) >= 0) *use = (struct router_ring_use){tail, use->last, .before = use->recent};
  return use->recent + use->before;
}

uint8_t *router_ring_reserve_share(struct router_ring *ring, struct router_ring_use *sender, struct router_ring_use *network,
                                   uint32_t length, uint32_t tag) {
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  size_t left = ROUTER_RING_ROOM - (tail - head);
  bool share = used(sender, head, tail) + used(network, head, tail) + size_of(length) <= 2 * left;
  return reserve(ring, head, tail, share ? ROUTER_RING_ROOM : ROUTER_RING_BYTES, length, tag);
}

void router_ring_commit(struct router_ring *ring, uint32_t length) {
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), size = size_of(length);
  atomic_store_explicit(&ring->tail, place(tail, size) + size, memory_order_release);
}

void router_ring_count(const struct router_ring *ring, struct router_ring_use *sender, struct router_ring_use *network, uint32_t length) {
  sender->last = network->last = atomic_load_explicit((_Atomic size_t *)&ring->tail, memory_order_relaxed);
  sender->recent += (uint32_t)size_of(length);
  network->recent += (uint32_t)size_of(length);
}

uint8_t *router_ring_next(struct router_ring *ring, uint32_t *length, uint32_t *tag) {
  size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  if (head == atomic_load_explicit(&ring->tail, memory_order_acquire)) return NULL;
  struct header *header = header_at(ring, head);
  if (header->length == SKIP) {
    head += until_end(head);
    atomic_store_explicit(&ring->head, head, memory_order_release);
    header = header_at(ring, head);
  }
  *length = header->length;
  *tag = header->tag;
  return (uint8_t *)(header + 1);
}

void router_ring_release(struct router_ring *ring, uint32_t length) {
  size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  atomic_store_explicit(&ring->head, head + size_of(length), memory_order_release);
}

bool router_ring_empty(const struct router_ring *ring) {
  return atomic_load_explicit((_Atomic size_t *)&ring->head, memory_order_relaxed) ==
         atomic_load_explicit((_Atomic size_t *)&ring->tail, memory_order_acquire);
}
