// The data plane's queues and the memory they share. Ends with a line "ok", or with what was wrong.
#include "../../../native/transport/fq.h"
#include "../check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = 1002, SHARED = 100 * 1000 };

static struct dp_counters counters;

// A plain frame of an IPv6 packet that cannot be marked.
static void put(struct dp_fq *fq, uint32_t flow, uint64_t now) {
  uint8_t frame[FRAME] = {(FRAME - 2) >> 8, (FRAME - 2) & 255, 0x60};
  dp_fq_put(fq, frame, sizeof frame, flow, now);
}

static size_t take(struct dp_fq *fq, uint64_t now) {
  static uint8_t out[1 << 20];
  return dp_fq_take(fq, out, sizeof out, sizeof out, now);
}

static void many_full_queues_leave_room_for_another(void) {
  struct dp_pool pool;
  struct dp_fq *queues[9];
  dp_pool_init(&pool, SHARED);
  for (int i = 0; i < 9; i++) CHECK((queues[i] = dp_fq_new(&counters, &pool)) != NULL);
  for (int packet = 0; packet < 200; packet++)
    for (int i = 0; i < 8; i++) put(queues[i], 1, 0);
  CHECK(pool.held <= SHARED);
  for (int i = 0; i < 8; i++) CHECK(queues[i]->bytes >= 2 * FRAME);
  put(queues[8], 1, 0);
  CHECK(queues[8]->bytes == FRAME);
  for (int i = 0; i < 9; i++) dp_fq_free(queues[i]);
  CHECK(pool.held == 0);
  dp_pool_free(&pool);
}

// Full of the packets of one network's many devices: another network's device has its room, and so has another device of the same network.
static void the_largest_queue_of_the_largest_group_pays(void) {
  enum { MANY = 30 };
  struct dp_pool pool;
  struct dp_group crowd, other;
  struct dp_fq *queues[MANY + 2], *quiet, *foreign;
  dp_pool_init(&pool, SHARED);
  dp_pool_group(&pool, &crowd);
  dp_pool_group(&pool, &other);
  for (int i = 0; i < MANY + 2; i++) {
    CHECK((queues[i] = dp_fq_new(&counters, &pool)) != NULL);
    queues[i]->share.group = i == MANY ? &other : &crowd;
  }
  foreign = queues[MANY];
  quiet = queues[MANY + 1];
  put(quiet, 1, 0);
  for (int packet = 0; packet < 200; packet++)
    for (int i = 0; i < MANY; i++) put(queues[i], 1, 0);
  CHECK(pool.held > SHARED - 2 * FRAME && pool.held <= SHARED);
  // The crowd, which has never been over its own limits, makes room.
  for (int packet = 0; packet < 45; packet++) put(foreign, 1, 0);
  CHECK(foreign->bytes == 45 * FRAME && quiet->bytes == FRAME);
  for (int packet = 0; packet < 200; packet++) {
    put(foreign, 1, 0);
    for (int i = 0; i < MANY; i++) put(queues[i], 1, 0);
  }
  CHECK(quiet->bytes == FRAME && pool.held <= SHARED);
  CHECK(foreign->bytes > SHARED / 3 && foreign->bytes < SHARED / 3 * 2);
  CHECK(crowd.holder.held + other.holder.held == pool.held);
  for (int i = 0; i < MANY; i++) CHECK(queues[i]->bytes >= FRAME);
  for (int i = 0; i < MANY + 2; i++) dp_fq_free(queues[i]);
  CHECK(pool.held == 0 && dp_share_largest(&pool.groups) == NULL);
  dp_pool_free(&pool);
}

// However its holdings change, the largest is found, to within a quarter.
static void the_largest_share_is_found(void) {
  enum { MANY = 100, GROUPS = 5, STEPS = 20000 };
  struct dp_ranking groups = {0};
  struct dp_group group[GROUPS] = {0};
  struct dp_share shares[MANY] = {0};
  for (int i = 0; i < GROUPS; i++) group[i].groups = &groups;
  for (int i = 0; i < MANY; i++) shares[i].group = &group[i % GROUPS];
  for (int step = 0; step < STEPS; step++) {
    struct dp_share *share = &shares[rand() % MANY];
    uint64_t held = share->holder.held, bytes = (uint64_t)rand() % (1u << rand() % 24);
    if (rand() % 2 == 0) dp_share_add(share, bytes);
    else dp_share_remove(share, bytes < held ? bytes : held);
    uint64_t most = 0, most_of_group = 0;
    struct dp_share *largest = dp_share_largest(&groups);
    for (int i = 0; i < GROUPS; i++) most = group[i].holder.held > most ? group[i].holder.held : most;
    CHECK((largest == NULL) == (most == 0));
    if (largest == NULL) continue;
    CHECK(largest->group->holder.held * 5 >= most * 4);
    for (int i = 0; i < MANY; i++)
      if (shares[i].group == largest->group && shares[i].holder.held > most_of_group) most_of_group = shares[i].holder.held;
    CHECK(largest->holder.held * 5 >= most_of_group * 4);
  }
}

static void a_single_queue_has_its_own_limit_too(void) {
  struct dp_pool pool;
  dp_pool_init(&pool, SHARED);
  struct dp_fq *fq = dp_fq_new(&counters, &pool);
  fq->limit = 10 * FRAME;
  uint64_t before = dp_value(&counters.out_overflow);
  for (int packet = 0; packet < 20; packet++) put(fq, 1, 0);
  CHECK(fq->bytes == 10 * FRAME);
  CHECK(dp_value(&counters.out_overflow) == before + 10);
  CHECK(take(fq, 1000) == 10 * FRAME);
  CHECK(pool.held == 0);
  dp_fq_free(fq);
  dp_pool_free(&pool);
}

static void the_fattest_flow_pays(void) {
  struct dp_pool pool;
  dp_pool_init(&pool, SHARED);
  struct dp_fq *fq = dp_fq_new(&counters, &pool);
  put(fq, 2, 0);
  for (int packet = 0; packet < 500; packet++) put(fq, 1, 0);
  put(fq, 3, 0);
  CHECK(fq->flows[2].bytes == FRAME && fq->flows[3].bytes == FRAME);
  dp_fq_free(fq);
  dp_pool_free(&pool);
}

static void memory_is_used_again_and_bounded(void) {
  struct dp_pool pool;
  dp_pool_init(&pool, 1 << 20);
  void *first = dp_pool_take(&pool, 60000);
  CHECK(first != NULL && pool.held == 60000);
  memset(first, 1, 60000);
  dp_pool_give(&pool, first, 60000);
  void *second = dp_pool_take(&pool, 65000);
#ifndef __SANITIZE_ADDRESS__
  CHECK(second == first);
#endif
  CHECK(dp_pool_take(&pool, (1 << 20) - 64999) == NULL);
  CHECK(pool.held == 65000 && dp_pool_left(&pool) == (1 << 20) - 65000);
  void *needed = dp_pool_need(&pool, 1 << 20);
  CHECK(needed != NULL && dp_pool_left(&pool) == 0);
  CHECK(dp_pool_take(&pool, 1) == NULL);
  dp_pool_give(&pool, needed, 1 << 20);
  dp_pool_give(&pool, second, 65000);
  void *pieces[40];
  for (int i = 0; i < 40; i++) pieces[i] = dp_pool_need(&pool, 100000);
  for (int i = 0; i < 40; i++) dp_pool_give(&pool, pieces[i], 100000);
  CHECK(pool.held == 0 && pool.kept <= DP_POOL_KEPT);
  dp_pool_free(&pool);
}

int main(void) {
  many_full_queues_leave_room_for_another();
  the_largest_queue_of_the_largest_group_pays();
  the_largest_share_is_found();
  a_single_queue_has_its_own_limit_too();
  the_fattest_flow_pays();
  memory_is_used_again_and_bounded();
  puts("ok");
  return 0;
}
