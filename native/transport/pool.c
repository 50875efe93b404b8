#include "pool.h"
#include <stdlib.h>

struct dp_piece {
  struct dp_piece *next;
};

// Sizes are 9/8 of powers of two, so that a burst of 64 KB in segments, each with its headers, does not need twice as much.
enum { HEADERS = 256 };

#ifdef __SANITIZE_ADDRESS__
enum { KEPT = 0 };  // so that a use of freed memory is seen
#else
enum { KEPT = DP_POOL_KEPT };
#endif

static size_t size_of(int class) { return ((size_t)DP_POOL_SMALLEST << class) / 8 * 9 + HEADERS; }

// DP_POOL_CLASSES if it is larger than any.
static int class_of(size_t bytes) {
  int class = 0;
  while (class < DP_POOL_CLASSES && size_of(class) < bytes) class++;
  return class;
}

void dp_pool_init(struct dp_pool *pool, uint64_t limit) {
  *pool = (struct dp_pool){.limit = limit};
  dp_pool_group(pool, &pool->everyone);
}

void dp_pool_group(struct dp_pool *pool, struct dp_group *group) { *group = (struct dp_group){.groups = &pool->groups}; }

void dp_pool_free(struct dp_pool *pool) {
  for (int class = 0; class < DP_POOL_CLASSES; class++)
    for (struct dp_piece *piece; (piece = pool->free[class]) != NULL; free(piece)) pool->free[class] = piece->next;
  pool->kept = 0;
}

void *dp_pool_need(struct dp_pool *pool, size_t bytes) {
  int class = class_of(bytes);
  struct dp_piece *piece = class < DP_POOL_CLASSES ? pool->free[class] : NULL;
  if (piece != NULL) {
    pool->free[class] = piece->next;
    pool->kept -= size_of(class);
  } else {
    piece = malloc(class < DP_POOL_CLASSES ? size_of(class) : bytes);
  }
  if (piece != NULL) pool->held += bytes;
  return piece;
}

void *dp_pool_take(struct dp_pool *pool, size_t bytes) { return bytes > dp_pool_left(pool) ? NULL : dp_pool_need(pool, bytes); }

void dp_pool_give(struct dp_pool *pool, void *memory, size_t bytes) {
  int class = class_of(bytes);
  if (memory == NULL) return;
  pool->held -= bytes;
  if (class == DP_POOL_CLASSES || pool->kept + size_of(class) > KEPT) {
    free(memory);
    return;
  }
  struct dp_piece *piece = memory;
  piece->next = pool->free[class];
  pool->free[class] = piece;
  pool->kept += size_of(class);
}

uint64_t dp_pool_left(const struct dp_pool *pool) { return pool->held < pool->limit ? pool->limit - pool->held : 0; }
