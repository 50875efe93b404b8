// Memory for what waits in the queues of one thread, the bound that all of them share, and who holds how much of it.
//
// Freed blocks are kept for the next request: the allocator would return them to the system and fault them in again, thousands of times a
// second on a fast link.
#pragma once
#include "shares.h"

enum {
  DP_POOL_SMALLEST = 256,
  DP_POOL_CLASSES = 11,       // the largest: 288 KB
  DP_POOL_KEPT = 1024 * 1024, // bytes of freed blocks, at most
};

struct dp_piece;

struct dp_pool {
  uint64_t held;   // bytes asked for and not given back
  uint64_t limit;  // for `held`, which only dp_pool_need() may exceed
  size_t kept;
  struct dp_piece *free[DP_POOL_CLASSES];
  struct dp_ranking groups;
  struct dp_group everyone;  // those that are in no other group
};

void dp_pool_init(struct dp_pool *pool, uint64_t limit);
// All blocks must have been given back.
void dp_pool_free(struct dp_pool *pool);
// NULL without memory, or beyond the limit.
void *dp_pool_take(struct dp_pool *pool, size_t bytes);
// The same beyond the limit, for what a connection cannot do without. NULL only without memory.
void *dp_pool_need(struct dp_pool *pool, size_t bytes);
// `bytes` as they were asked for. NULL does nothing.
void dp_pool_give(struct dp_pool *pool, void *memory, size_t bytes);
// How many bytes are left of the limit.
uint64_t dp_pool_left(const struct dp_pool *pool);
// A group whose members share the pool with those of others.
void dp_pool_group(struct dp_pool *pool, struct dp_group *group);
