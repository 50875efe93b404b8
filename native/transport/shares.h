// Who holds how much of something that is bounded and that many share: devices, in groups (a network each). When it is full the member
// that holds most gives, of the group that holds most. So nobody loses anything who holds no more than an equal share, neither a device
// in its network nor a network among others, to within a quarter.
//
// All of it takes constant time: holders are kept in ranks, four for each power of two.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { DP_RANKS = 128 };

struct dp_holder {
  struct dp_holder *previous, *next;  // in a circle of those of its rank; only while it holds something
  uint64_t held;
};

struct dp_ranking {
  uint64_t occupied[DP_RANKS / 64];
  struct dp_holder *first[DP_RANKS];
};

struct dp_group {
  struct dp_holder holder;
  struct dp_ranking *groups;
  struct dp_ranking members;
};

struct dp_share {
  struct dp_holder holder;
  struct dp_group *group;
};

static inline uint32_t dp_rank(uint64_t held) {
  if (held < 4) return (uint32_t)held;
  if (held > UINT32_MAX) held = UINT32_MAX;
  uint32_t log = 63 - (uint32_t)__builtin_clzll(held);
  return 4 * (log - 1) + (uint32_t)(held >> (log - 2) & 3);
}

static inline void dp_ranking_leave(struct dp_ranking *ranking, struct dp_holder *holder) {
  uint32_t rank = dp_rank(holder->held);
  holder->previous->next = holder->next;
  holder->next->previous = holder->previous;
  if (ranking->first[rank] != holder) return;
  ranking->first[rank] = holder->next == holder ? NULL : holder->next;
  if (ranking->first[rank] == NULL) ranking->occupied[rank / 64] &= ~(1ull << rank % 64);
}

static inline void dp_ranking_enter(struct dp_ranking *ranking, struct dp_holder *holder) {
  uint32_t rank = dp_rank(holder->held);
  struct dp_holder *first = ranking->first[rank];
  if (first == NULL) {
    holder->previous = holder->next = ranking->first[rank] = holder;
    ranking->occupied[rank / 64] |= 1ull << rank % 64;
    return;
  }
  holder->previous = first->previous;
  holder->next = first;
  holder->previous->next = holder;
  first->previous = holder;
}

static inline void dp_ranking_set(struct dp_ranking *ranking, struct dp_holder *holder, uint64_t held) {
  if (dp_rank(holder->held) == dp_rank(held)) {
    holder->held = held;
    return;
  }
  if (holder->held > 0) dp_ranking_leave(ranking, holder);
  holder->held = held;
  if (held > 0) dp_ranking_enter(ranking, holder);
}

// One of those that hold most; NULL if nobody holds anything.
static inline struct dp_holder *dp_ranking_largest(const struct dp_ranking *ranking) {
  for (uint32_t i = DP_RANKS / 64; i-- > 0;)
    if (ranking->occupied[i] != 0) return ranking->first[64 * i + 63 - (uint32_t)__builtin_clzll(ranking->occupied[i])];
  return NULL;
}

static inline void dp_share_add(struct dp_share *share, uint64_t bytes) {
  struct dp_group *group = share->group;
  dp_ranking_set(&group->members, &share->holder, share->holder.held + bytes);
  dp_ranking_set(group->groups, &group->holder, group->holder.held + bytes);
}

static inline void dp_share_remove(struct dp_share *share, uint64_t bytes) {
  struct dp_group *group = share->group;
  dp_ranking_set(&group->members, &share->holder, share->holder.held - bytes);
  dp_ranking_set(group->groups, &group->holder, group->holder.held - bytes);
}

// Whose turn it is to give; NULL if nobody holds anything.
static inline struct dp_share *dp_share_largest(const struct dp_ranking *groups) {
  struct dp_group *group = (struct dp_group *)(void *)dp_ranking_largest(groups);
  return group == NULL ? NULL : (struct dp_share *)(void *)dp_ranking_largest(&group->members);
}
