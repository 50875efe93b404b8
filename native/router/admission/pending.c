#include "pending.h"
#include <unistd.h>

// A connection that has been at its step for so long may be closed for a new one of its own source, if that has as many as it may have, or
// in its handshake for a new one of the crowd that it is of.
static const uint64_t LATE[ROUTER_STEPS_UNDER_WAY] = {
    [ROUTER_STEP_HELLO] = 1000000000, [ROUTER_STEP_HANDSHAKE] = 3000000000, [ROUTER_STEP_ADMISSION] = UINT64_MAX};

bool router_pending_init(struct router_pending *pending, struct router_ratelimit *ratelimit) {
  bool memory = true;
  *pending = (struct router_pending){.ratelimit = ratelimit};
  pthread_mutex_init(&pending->lock, NULL);
  for (int i = 0; i < ROUTER_STEPS; i++)
    memory &= backlog_init(&pending->steps[i], ratelimit->limits.pending, ratelimit->seed);
  return memory;
}

void router_pending_free(struct router_pending *pending) {
  for (int i = 0; i < ROUTER_STEPS; i++)
    if (pending->steps[i].buckets != NULL) backlog_free(&pending->steps[i]);
  pthread_mutex_destroy(&pending->lock);
}

static struct router_place *place_of(struct backlog_entry *entry) { return (struct router_place *)(void *)entry; }

// Takes its place away. Only its own thread may touch the connection.
static void evict(struct router_pending *pending, struct router_place *place, uint64_t now) {
  struct router_evicted *evicted = place->evicted;
  uint64_t one = 1;
  backlog_remove(&pending->steps[place->step], &place->entry);
  // Who has sent no ClientHello has cost nothing: the devices behind the same NAT need not pay for it.
  if (place->step < ROUTER_STEPS_UNDER_WAY)
    router_ratelimit_release(pending->ratelimit, place->source, place->step == ROUTER_STEP_HANDSHAKE, now);
  place->step = ROUTER_STEP_NONE;
  place->taken_away = true;
  place->next_evicted = evicted->first;
  evicted->first = place;
  if (!atomic_exchange(&evicted->any, true)) (void)!write(evicted->wake, &one, sizeof one);
}

static bool is_late(const struct backlog_entry *entry, int step, uint64_t now) { return now - entry->since >= LATE[step]; }

// Who goes for a new connection of a source, or NULL. A crowd does not exchange its handshakes as fast as it can connect: each costs a
// signature. Of those that wait for JavaScript it is the newest: the oldest is the next to be served.
static struct router_place *payer(const struct router_pending *pending, uint64_t source, uint64_t now) {
  const struct backlog *steps[ROUTER_STEPS_UNDER_WAY];
  for (int i = 0; i < ROUTER_STEPS_UNDER_WAY; i++) steps[i] = &pending->steps[i];
  int step = backlog_payer(steps, ROUTER_STEPS_UNDER_WAY, pending->ratelimit->limits.pending);
  if (step < 0) return NULL;
  struct backlog_entry *entry = backlog_crowded(steps[step], step == ROUTER_STEP_ADMISSION);
  bool spared = step == ROUTER_STEP_HANDSHAKE && backlog_is_crowded(steps[step], source) && !is_late(entry, step, now);
  return spared ? NULL : place_of(entry);
}

static struct router_place *late_of(const struct router_pending *pending, uint64_t source, uint64_t now) {
  for (int i = 0; i < ROUTER_STEPS_UNDER_WAY; i++) {
    struct backlog_entry *entry = backlog_of(&pending->steps[i], source);
    if (entry != NULL && is_late(entry, i, now)) return place_of(entry);
  }
  return NULL;
}

static void make_room(struct router_pending *pending, uint64_t source, uint64_t now) {
  struct router_place *place = NULL;
  if (router_ratelimit_crowded(pending->ratelimit, source)) place = late_of(pending, source, now);
  else if (atomic_load(&pending->ratelimit->pending) >= pending->ratelimit->limits.pending) place = payer(pending, source, now);
  if (place != NULL) evict(pending, place, now);
}

bool router_pending_enter(struct router_pending *pending, struct router_place *place, uint64_t now) {
  struct router_ratelimit *ratelimit = pending->ratelimit;
  place->step = ROUTER_STEP_NONE;
  pthread_mutex_lock(&pending->lock);
  // Nobody's place is taken for one that is not let in.
  bool open = !router_ratelimit_shut(ratelimit, place->source, now);
  if (open) make_room(pending, place->source, now);
  open = open && router_ratelimit_acquire(ratelimit, place->source, now);
  if (open && !backlog_add(&pending->steps[ROUTER_STEP_HELLO], &place->entry, place->source, now)) {
    router_ratelimit_release(ratelimit, place->source, false, now);
    open = false;
  }
  if (open) place->step = ROUTER_STEP_HELLO;
  pthread_mutex_unlock(&pending->lock);
  return open;
}

bool router_pending_advance(struct router_pending *pending, struct router_place *place, enum router_step step, uint64_t now) {
  pthread_mutex_lock(&pending->lock);
  bool stays = place->step != ROUTER_STEP_NONE;
  if (stays) {
    backlog_remove(&pending->steps[place->step], &place->entry);
    stays = backlog_add(&pending->steps[step], &place->entry, place->source, now);
    if (!stays) router_ratelimit_release(pending->ratelimit, place->source, false, now);
    place->step = stays ? step : ROUTER_STEP_NONE;
  }
  pthread_mutex_unlock(&pending->lock);
  return stays;
}

static void forget_evicted(struct router_place *place) {
  struct router_place **at = &place->evicted->first;
  while (*at != place) at = &(*at)->next_evicted;
  *at = place->next_evicted;
  place->taken_away = false;
}

void router_pending_leave(struct router_pending *pending, struct router_place *place, bool refused, uint64_t now) {
  pthread_mutex_lock(&pending->lock);
  if (place->step != ROUTER_STEP_NONE) backlog_remove(&pending->steps[place->step], &place->entry);
  if (place->step < ROUTER_STEPS_UNDER_WAY) router_ratelimit_release(pending->ratelimit, place->source, refused, now);
  place->step = ROUTER_STEP_NONE;
  if (place->taken_away) forget_evicted(place);
  pthread_mutex_unlock(&pending->lock);
}

bool router_pending_linger(struct router_pending *pending, struct router_place *place, uint64_t now) {
  struct backlog *leaving = &pending->steps[ROUTER_STEP_LEAVING];
  pthread_mutex_lock(&pending->lock);
  if (leaving->count >= pending->ratelimit->limits.pending) evict(pending, place_of(backlog_crowded(leaving, false)), now);
  bool stays = backlog_add(leaving, &place->entry, place->source, now);
  if (stays) place->step = ROUTER_STEP_LEAVING;
  pthread_mutex_unlock(&pending->lock);
  return stays;
}

struct router_place *router_pending_evicted(struct router_pending *pending, struct router_evicted *evicted) {
  if (!atomic_load(&evicted->any)) return NULL;
  pthread_mutex_lock(&pending->lock);
  struct router_place *place = evicted->first;
  if (place != NULL) forget_evicted(place);
  else atomic_store(&evicted->any, false);
  pthread_mutex_unlock(&pending->lock);
  return place;
}
