// fq_codel (RFC 8290) for packets that wait while a socket is full: a round robin of flows, new ones first; what waits too long is marked
// or dropped. Offloading makes the TUN's own queue of 500 packets as long as 32 MB; this one has 1 MB. Once the memory that the thread's
// queues share is full, the one that holds most of it loses packets: however many are full, there is room in another.
#pragma once
#include "packet/counters.h"
#include "pool.h"
#include <stdbool.h>
#include <stddef.h>

enum {
  DP_FQ_FLOWS = 64,
  DP_FQ_LIMIT = 1 << 20,           // bytes in all unless `limit` is set otherwise; beyond that the fattest flow loses packets
  DP_FQ_QUANTUM = 4096,            // bytes a flow may send per round
  DP_FQ_TARGET_NS = 5000000,       // longer than this,
  DP_FQ_INTERVAL_NS = 100000000,   // for this long, is too long
};

// One packet of the TUN, as whole frames.
struct dp_fq_block {
  struct dp_fq_block *next;
  uint64_t since;
  uint32_t length;
  uint8_t bytes[];
};

struct dp_fq_flow {
  struct dp_fq_flow *next;  // in the list of new or old flows
  struct dp_fq_block *head, *tail;
  uint32_t bytes;
  int32_t deficit;
  enum { DP_FQ_IDLE, DP_FQ_NEW, DP_FQ_OLD } state;
  bool dropping;
  uint32_t count;
  uint64_t first_above, drop_next;
};

struct dp_fq_list {
  struct dp_fq_flow *head, *tail;
};

struct dp_fq {
  struct dp_counters *counters;
  struct dp_pool *pool;
  struct dp_share share;  // of the pool; in the group of everyone unless that is set otherwise, while the queue is empty
  uint32_t bytes, blocks, limit;
  uint32_t largest;  // block seen so far: CoDel does not drop while less than one of them waits
  struct dp_fq_list fresh, old;
  struct dp_fq_flow flows[DP_FQ_FLOWS];
};

// NULL without memory. Its packets are the pool's.
struct dp_fq *dp_fq_new(struct dp_counters *counters, struct dp_pool *pool);
void dp_fq_free(struct dp_fq *fq);
// Copies `length` bytes of whole frames in: one packet, or the segments of one. `hash` tells flows apart. Dropping is counted.
void dp_fq_put(struct dp_fq *fq, const uint8_t *frames, uint32_t length, uint32_t hash, uint64_t now);
// Takes frames out until there are at least `wanted` bytes or nothing waits, never more than `capacity`; returns the bytes.
size_t dp_fq_take(struct dp_fq *fq, uint8_t *out, size_t wanted, size_t capacity, uint64_t now);
