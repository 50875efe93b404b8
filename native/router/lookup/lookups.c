#include "lookups.h"
#include <stdlib.h>
#include <string.h>

bool router_lookups_init(struct router_lookups *lookups, uint32_t threads) {
  *lookups = (struct router_lookups){.period = (uint64_t)threads * ROUTER_LOOKUPS_PERIOD};
  router_chain_init(&lookups->waiting);
  return router_addresstable_init(&lookups->table) && router_addresstable_init(&lookups->holders);
}

void router_lookups_free(struct router_lookups *lookups) {
  router_addresstable_free(&lookups->table);
  router_addresstable_free(&lookups->holders);
}

void router_askers_init(struct router_lookups *lookups, struct router_askers *group) {
  *group = (struct router_askers){.group.groups = &lookups->groups};
  router_chain_init(&group->waiting);
}

void router_asker_join(struct router_askers *group, struct router_asker *asker, struct router_peer *peer) {
  *asker = (struct router_asker){.share.group = &group->group, .group = group, .peer = peer};
  router_chain_init(&asker->waiting);
  router_chain_init(&asker->lookups);
  router_chain_init(&asker->held);
}

static bool is_answered(const struct router_lookup *lookup) { return lookup->state >= ROUTER_LOOKUP_NOBODY; }

static void charge(struct router_lookups *lookups, struct router_asker *asker, uint64_t bytes) {
  dp_share_add(&asker->share, bytes);
  lookups->bytes += bytes;
}

static void discharge(struct router_lookups *lookups, struct router_asker *asker, uint64_t bytes) {
  dp_share_remove(&asker->share, bytes);
  lookups->bytes -= bytes;
}

static void put_question(struct router_lookups *lookups, struct router_asker *asker, struct router_lookup *lookup) {
  struct router_askers *group = asker->group;
  if (router_chain_empty(&group->waiting)) router_chain_append(&lookups->waiting, &group->turn);
  if (asker->questions++ == 0) router_chain_append(&group->waiting, &asker->turn);
  router_chain_append(&asker->waiting, &lookup->question);
}

static void take_question(struct router_lookup *lookup) {
  struct router_asker *asker = lookup->asker;
  struct router_askers *group = asker->group;
  if (lookup->state != ROUTER_LOOKUP_WAITING) return;
  router_chain_remove(&lookup->question);
  if (--asker->questions > 0) return;
  router_chain_remove(&asker->turn);
  if (router_chain_empty(&group->waiting)) router_chain_remove(&group->turn);
}

static void unlink_held(struct router_lookups *lookups, struct router_held *held) {
  router_chain_remove(&held->in_lookup);
  router_chain_remove(&held->of_asker);
  discharge(lookups, held->asker, sizeof *held + held->length);
}

static struct router_held *first_of(struct router_chain *list) {
  return router_chain_empty(list) ? NULL : ROUTER_CHAINED(struct router_held, in_lookup, list->next);
}

static struct router_held *first_by(struct router_asker *asker) {
  return router_chain_empty(&asker->held) ? NULL : ROUTER_CHAINED(struct router_held, of_asker, asker->held.next);
}

struct router_held *router_lookups_take(struct router_lookups *lookups, struct router_chain *list) {
  struct router_held *held = first_of(list);
  if (held != NULL) unlink_held(lookups, held);
  return held;
}

void router_held_free(struct router_held *held) {
  router_peer_release(held->sender);
  free(held);
}

static void drop(struct router_lookups *lookups, struct router_held *held, _Atomic uint64_t *cause) {
  unlink_held(lookups, held);
  dp_add(cause, 1);
  router_held_free(held);
}

void router_lookups_forget(struct router_lookups *lookups, struct router_lookup *lookup) {
  for (struct router_held *held; (held = first_of(&lookup->held)) != NULL;) drop(lookups, held, &held->sender->drops.offline);
  take_question(lookup);
  router_chain_remove(&lookup->used);
  discharge(lookups, lookup->asker, sizeof *lookup);
  router_addresstable_remove(&lookups->table, &lookup->entry);
  if (lookup->held_by_device) router_addresstable_remove(&lookups->holders, &lookup->holder);
  lookups->count--;
  free(lookup);
}

struct router_lookup *router_lookups_held_by(struct router_lookups *lookups, const uint8_t device[16]) {
  struct router_addresstable_entry *holder = router_addresstable_find(&lookups->holders, device);
  return holder == NULL ? NULL : ROUTER_CHAINED(struct router_lookup, holder, holder);
}

void router_lookups_hold_by(struct router_lookups *lookups, struct router_lookup *lookup, const uint8_t device[16]) {
  struct router_lookup *former = router_lookups_held_by(lookups, device);
  if (former == lookup) return;
  if (former != NULL) router_lookups_forget(lookups, former);
  if (lookup->held_by_device) router_addresstable_remove(&lookups->holders, &lookup->holder);
  memcpy(lookup->holder.address, device, sizeof lookup->holder.address);
  router_addresstable_add(&lookups->holders, &lookup->holder);
  lookup->held_by_device = true;
}

void router_lookups_forget_holders(struct router_lookups *lookups) {
  for (struct router_addresstable_entry *holder; (holder = router_addresstable_take(&lookups->holders)) != NULL;) {
    struct router_lookup *lookup = ROUTER_CHAINED(struct router_lookup, holder, holder);
    lookup->held_by_device = false;
    router_lookups_forget(lookups, lookup);
  }
}

void router_lookups_forget_answers(struct router_lookups *lookups) {
  struct router_addresstable *table = &lookups->table;
  for (size_t i = 0; i < table->size; i++) {
    for (struct router_addresstable_entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
      struct router_lookup *lookup = (struct router_lookup *)(void *)entry;
      next = entry->next;
      if (is_answered(lookup)) router_lookups_forget(lookups, lookup);
    }
  }
}

static struct router_lookup *least_recent(struct router_asker *asker) {
  return router_chain_empty(&asker->lookups) ? NULL : ROUTER_CHAINED(struct router_lookup, used, asker->lookups.next);
}

void router_asker_leave(struct router_lookups *lookups, struct router_asker *asker) {
  if (asker->group == NULL) return;
  for (struct router_lookup *lookup; (lookup = least_recent(asker)) != NULL;) router_lookups_forget(lookups, lookup);
  for (struct router_held *held; (held = first_by(asker)) != NULL;) drop(lookups, held, &held->sender->drops.offline);
  asker->group = NULL;
}

// Whoever holds most gives answers first, then packets, then questions. False if there is no room without `spared`.
static bool make_room(struct router_lookups *lookups, uint64_t bytes, const struct router_lookup *spared) {
  while (lookups->bytes + bytes > ROUTER_LOOKUP_BYTES) {
    struct dp_share *largest = dp_share_largest(&lookups->groups);
    if (largest == NULL) return false;
    struct router_asker *asker = ROUTER_CHAINED(struct router_asker, share, largest);
    struct router_lookup *lookup = least_recent(asker);
    struct router_held *held = first_by(asker);
    if (held != NULL && (lookup == NULL || !is_answered(lookup))) drop(lookups, held, &held->sender->drops.queue_full);
    else if (lookup == spared) return false;
    else router_lookups_forget(lookups, lookup);
  }
  return true;
}

// A token bucket as a time: how long before `now` it is when as many tokens as `saved` takes are there.
static void refill(uint64_t *until, uint64_t now, uint64_t saved) {
  if (now > saved && *until < now - saved) *until = now - saved;
}

static struct router_lookup *ask(struct router_lookups *lookups, struct router_asker *asker, const uint8_t address[16], uint64_t now) {
  const uint64_t period = lookups->period * ROUTER_LOOKUPS_SHARE;
  refill(&asker->asked_until, now, ROUTER_LOOKUPS_ASKED / ROUTER_LOOKUPS_SHARE * period);
  if (asker->questions >= ROUTER_LOOKUPS_WAITING || asker->asked_until + period > now) return NULL;
  struct router_lookup *lookup = make_room(lookups, sizeof *lookup, NULL) ? malloc(sizeof *lookup) : NULL;
  if (lookup == NULL) return NULL;
  asker->asked_until += period;
  *lookup = (struct router_lookup){.state = ROUTER_LOOKUP_WAITING, .asker = asker};
  memcpy(lookup->entry.address, address, sizeof lookup->entry.address);
  router_chain_init(&lookup->held);
  router_addresstable_add(&lookups->table, &lookup->entry);
  lookups->count++;
  router_chain_append(&asker->lookups, &lookup->used);
  charge(lookups, asker, sizeof *lookup);
  put_question(lookups, asker, lookup);
  return lookup;
}

// A question that another asker has put is asked in the turn of whoever has fewer of them.
static void join_question(struct router_lookups *lookups, struct router_lookup *lookup, struct router_asker *asker) {
  if (lookup->asker == asker || lookup->state != ROUTER_LOOKUP_WAITING || asker->questions + 1 >= lookup->asker->questions) return;
  take_question(lookup);
  discharge(lookups, lookup->asker, sizeof *lookup);
  lookup->asker = asker;
  charge(lookups, asker, sizeof *lookup);
  put_question(lookups, asker, lookup);
}

struct router_lookup *router_lookups_of(struct router_lookups *lookups, const uint8_t address[16]) {
  return (struct router_lookup *)(void *)router_addresstable_find(&lookups->table, address);
}

struct router_lookup *router_lookups_find(struct router_lookups *lookups, struct router_asker *asker, const uint8_t address[16], uint64_t now) {
  struct router_lookup *lookup = router_lookups_of(lookups, address);
  if (lookup == NULL) return ask(lookups, asker, address, now);
  join_question(lookups, lookup, asker);
  router_chain_remove(&lookup->used);
  router_chain_append(&lookup->asker->lookups, &lookup->used);
  return lookup;
}

uint8_t *router_lookups_hold(struct router_lookups *lookups, struct router_lookup *lookup, struct router_asker *asker, uint32_t length) {
  struct router_held *held = make_room(lookups, sizeof *held + length, lookup) ? malloc(sizeof *held + length) : NULL;
  if (held == NULL) return NULL;
  *held = (struct router_held){.asker = asker, .sender = router_peer_keep(asker->peer), .length = length};
  router_chain_append(&lookup->held, &held->in_lookup);
  router_chain_append(&asker->held, &held->of_asker);
  charge(lookups, asker, sizeof *held + length);
  return held->bytes;
}

const uint8_t *router_lookups_next(struct router_lookups *lookups, uint64_t now) {
  const uint64_t period = lookups->period;
  if (router_chain_empty(&lookups->waiting) || lookups->asked >= ROUTER_LOOKUPS_ASKED) return NULL;
  refill(&lookups->asked_until, now, ROUTER_LOOKUPS_ASKED * period);
  if (lookups->asked_until + period > now) return NULL;
  lookups->asked_until += period;
  lookups->asked++;
  struct router_askers *group = ROUTER_CHAINED(struct router_askers, turn, lookups->waiting.next);
  struct router_asker *asker = ROUTER_CHAINED(struct router_asker, turn, group->waiting.next);
  struct router_lookup *lookup = ROUTER_CHAINED(struct router_lookup, question, asker->waiting.next);
  take_question(lookup);
  lookup->state = ROUTER_LOOKUP_ASKED;
  // Both go behind the others.
  if (asker->questions > 0) {
    router_chain_remove(&asker->turn);
    router_chain_append(&group->waiting, &asker->turn);
  }
  if (!router_chain_empty(&group->waiting)) {
    router_chain_remove(&group->turn);
    router_chain_append(&lookups->waiting, &group->turn);
  }
  return lookup->entry.address;
}

uint64_t router_lookups_deadline(const struct router_lookups *lookups) {
  bool waits = !router_chain_empty(&lookups->waiting) && lookups->asked < ROUTER_LOOKUPS_ASKED;
  return waits ? lookups->asked_until + lookups->period : UINT64_MAX;
}

void router_lookups_settle(struct router_lookup *lookup, enum router_lookup_state answer, struct router_chain *held) {
  take_question(lookup);
  lookup->state = answer;
  router_chain_init(held);
  router_chain_move(&lookup->held, held);
}
