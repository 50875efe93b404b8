#include "connections.h"
#include <stdlib.h>
#include <string.h>

// What one party can easily have many of counts as one: an IPv4 address, or the /64 of an IPv6 one.
struct source {
  uint64_t key;
  bool four;
  uint32_t count, bucket;
  struct source *next;
};

static uint64_t key_of(const struct in6_addr *address, bool *four) {
  uint64_t key = 0;
  *four = IN6_IS_ADDR_V4MAPPED(address);
  memcpy(&key, address->s6_addr + (*four ? 12 : 0), *four ? 4 : 8);
  return key;
}

// Mixed with a secret, so that nobody can choose addresses that all fall into one bucket.
static uint32_t bucket_of(const struct doorway *doorway, uint64_t key, bool four) {
  uint64_t mixed = (key ^ doorway->salt) + (four ? 0x9e3779b97f4a7c15u : 0);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * (doorway->salt | 1);
  return (uint32_t)(mixed >> 32) & (doorway->buckets - 1);
}

static struct source *source_at(const struct doorway *doorway, const struct in6_addr *address) {
  bool four;
  uint64_t key = key_of(address, &four);
  struct source *each = doorway->sources[bucket_of(doorway, key, four)];
  while (each != NULL && (each->key != key || each->four != four)) each = each->next;
  return each;
}

static struct source *source_enter(struct doorway *doorway, const struct in6_addr *address) {
  struct source *source = source_at(doorway, address);
  if (source == NULL) {
    if ((source = calloc(1, sizeof *source)) == NULL) return NULL;
    source->key = key_of(address, &source->four);
    source->bucket = bucket_of(doorway, source->key, source->four);
    source->next = doorway->sources[source->bucket];
    doorway->sources[source->bucket] = source;
  }
  source->count++;
  return source;
}

static void source_leave(struct doorway *doorway, struct source *source) {
  if (--source->count > 0) return;
  struct source **link = &doorway->sources[source->bucket];
  while (*link != source) link = &(*link)->next;
  *link = source->next;
  free(source);
}

bool doorway_open(struct doorway *doorway, uint32_t total, uint32_t per_source, uint64_t salt) {
  memset(doorway, 0, sizeof *doorway);
  doorway->buckets = 64;
  while (doorway->buckets < total && doorway->buckets < 1u << 20) doorway->buckets *= 2;
  doorway->sources = calloc(doorway->buckets, sizeof *doorway->sources);
  doorway->total = total;
  doorway->per_source = per_source;
  doorway->salt = salt;
  doorway->free = NOBODY;
  for (int i = 0; i < PHASES; i++) doorway->phases[i] = (struct list){NOBODY, NOBODY};
  return doorway->sources != NULL;
}

void doorway_release(struct doorway *doorway) {
  for (uint32_t i = 0; i < doorway->used; i++)
    if (doorway->visits[i].phase != FREE) doorway_leave(doorway, &doorway->visits[i]);
  free(doorway->visits);
  free(doorway->sources);
  memset(doorway, 0, sizeof *doorway);
}

static void unlink_visit(struct doorway *doorway, struct visit *visit) {
  struct list *list = &doorway->phases[visit->phase];
  if (visit->previous == NOBODY) list->first = visit->next;
  else doorway->visits[visit->previous].next = visit->next;
  if (visit->next == NOBODY) list->last = visit->previous;
  else doorway->visits[visit->next].previous = visit->previous;
}

static void append_visit(struct doorway *doorway, struct visit *visit, enum phase phase, int64_t now) {
  struct list *list = &doorway->phases[phase];
  uint32_t index = (uint32_t)(visit - doorway->visits);
  visit->phase = (uint8_t)phase;
  visit->since = now;
  visit->previous = list->last;
  visit->next = NOBODY;
  if (list->last == NOBODY) list->first = index;
  else doorway->visits[list->last].next = index;
  list->last = index;
}

bool doorway_welcomes(const struct doorway *doorway, const struct in6_addr *address) {
  const struct source *source = source_at(doorway, address);
  return source == NULL || source->count < doorway->per_source;
}

// A place that was given back, or the next one; the table grows as it is needed.
static struct visit *place(struct doorway *doorway) {
  if (doorway->free != NOBODY) {
    struct visit *visit = &doorway->visits[doorway->free];
    doorway->free = visit->next;
    return visit;
  }
  if (doorway->used == doorway->capacity) {
    uint32_t capacity = doorway->capacity == 0 ? 64 : doorway->capacity * 2;
    struct visit *visits = realloc(doorway->visits, capacity * sizeof *visits);
    if (visits == NULL) return NULL;
    memset(visits + doorway->capacity, 0, (capacity - doorway->capacity) * sizeof *visits);
    doorway->visits = visits;
    doorway->capacity = capacity;
  }
  return &doorway->visits[doorway->used++];
}

static void give_back(struct doorway *doorway, struct visit *visit) {
  visit->phase = FREE;
  visit->next = doorway->free;
  doorway->free = (uint32_t)(visit - doorway->visits);
}

struct visit *doorway_enter(struct doorway *doorway, int fd, const struct in6_addr *address, int64_t now) {
  struct visit *visit = doorway->open >= doorway->total ? NULL : place(doorway);
  if (visit == NULL) return NULL;
  struct source *source = source_enter(doorway, address);
  if (source == NULL) {
    give_back(doorway, visit);
    return NULL;
  }
  *visit = (struct visit){.fd = fd, .generation = visit->generation + 1, .source = source, .address = *address};
  append_visit(doorway, visit, HELLO, now);
  doorway->open++;
  return visit;
}

void doorway_leave(struct doorway *doorway, struct visit *visit) {
  unlink_visit(doorway, visit);
  source_leave(doorway, visit->source);
  free(visit->partial);
  visit->partial = NULL;
  give_back(doorway, visit);
  doorway->open--;
}

void doorway_move(struct doorway *doorway, struct visit *visit, enum phase phase, int64_t now) {
  unlink_visit(doorway, visit);
  append_visit(doorway, visit, phase, now);
}

struct visit *doorway_first(const struct doorway *doorway, enum phase phase) {
  uint32_t first = doorway->phases[phase].first;
  return first == NOBODY ? NULL : &doorway->visits[first];
}

// 21 bits of place (two million connections) under 32 bits of generation: fits a JavaScript number.
uint64_t visit_id(const struct doorway *doorway, const struct visit *visit) {
  return (uint64_t)visit->generation << 21 | (uint64_t)(visit - doorway->visits);
}

struct visit *doorway_find(const struct doorway *doorway, uint64_t id) {
  uint64_t index = id & ((1u << 21) - 1);
  if (index >= doorway->used) return NULL;
  struct visit *visit = &doorway->visits[index];
  return visit->phase != FREE && visit->generation == id >> 21 ? visit : NULL;
}
