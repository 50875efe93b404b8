#include "connections.h"
#include <stdlib.h>
#include <string.h>

// A source is an IPv4 address, or the /64 of an IPv6 address, of which one party can easily use many.
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
static uint32_t bucket_of(const struct connections *connections, uint64_t key, bool four) {
  uint64_t mixed = (key ^ connections->salt) + (four ? 0x9e3779b97f4a7c15u : 0);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * (connections->salt | 1);
  return (uint32_t)(mixed >> 32) & (connections->buckets - 1);
}

static struct source *source_at(const struct connections *connections, const struct in6_addr *address) {
  bool four;
  uint64_t key = key_of(address, &four);
  struct source *each = connections->sources[bucket_of(connections, key, four)];
  while (each != NULL && (each->key != key || each->four != four)) each = each->next;
  return each;
}

static struct source *source_add(struct connections *connections, const struct in6_addr *address) {
  struct source *source = source_at(connections, address);
  if (source == NULL) {
    if ((source = calloc(1, sizeof *source)) == NULL) return NULL;
    source->key = key_of(address, &source->four);
    source->bucket = bucket_of(connections, source->key, source->four);
    source->next = connections->sources[source->bucket];
    connections->sources[source->bucket] = source;
  }
  source->count++;
  return source;
}

static void source_remove(struct connections *connections, struct source *source) {
  if (--source->count > 0) return;
  struct source **link = &connections->sources[source->bucket];
  while (*link != source) link = &(*link)->next;
  *link = source->next;
  free(source);
}

bool connections_init(struct connections *connections, uint32_t total, uint32_t per_source, uint64_t salt) {
  memset(connections, 0, sizeof *connections);
  connections->buckets = 64;
  while (connections->buckets < total && connections->buckets < 1u << 20) connections->buckets *= 2;
  connections->sources = calloc(connections->buckets, sizeof *connections->sources);
  connections->total = total;
  connections->per_source = per_source;
  connections->salt = salt;
  connections->free = NONE;
  for (int i = 0; i < PHASES; i++) connections->phases[i] = (struct list){NONE, NONE};
  return connections->sources != NULL;
}

void connections_free(struct connections *connections) {
  for (uint32_t i = 0; i < connections->used; i++)
    if (connections->slots[i].phase != FREE) connections_remove(connections, &connections->slots[i]);
  free(connections->slots);
  free(connections->sources);
  memset(connections, 0, sizeof *connections);
}

static void unlink_connection(struct connections *connections, struct connection *connection) {
  struct list *list = &connections->phases[connection->phase];
  if (connection->previous == NONE) list->first = connection->next;
  else connections->slots[connection->previous].next = connection->next;
  if (connection->next == NONE) list->last = connection->previous;
  else connections->slots[connection->next].previous = connection->previous;
}

static void append_connection(struct connections *connections, struct connection *connection, enum phase phase, int64_t now) {
  struct list *list = &connections->phases[phase];
  uint32_t index = (uint32_t)(connection - connections->slots);
  connection->phase = (uint8_t)phase;
  connection->since = now;
  connection->previous = list->last;
  connection->next = NONE;
  if (list->last == NONE) list->first = index;
  else connections->slots[list->last].next = index;
  list->last = index;
}

bool connections_allow(const struct connections *connections, const struct in6_addr *address) {
  const struct source *source = source_at(connections, address);
  return source == NULL || source->count < connections->per_source;
}

// A freed slot, or the next one; the table grows when it is full.
static struct connection *take_slot(struct connections *connections) {
  if (connections->free != NONE) {
    struct connection *connection = &connections->slots[connections->free];
    connections->free = connection->next;
    return connection;
  }
  if (connections->used == connections->capacity) {
    uint32_t capacity = connections->capacity == 0 ? 64 : connections->capacity * 2;
    struct connection *slots = realloc(connections->slots, capacity * sizeof *slots);
    if (slots == NULL) return NULL;
    memset(slots + connections->capacity, 0, (capacity - connections->capacity) * sizeof *slots);
    connections->slots = slots;
    connections->capacity = capacity;
  }
  return &connections->slots[connections->used++];
}

static void release_slot(struct connections *connections, struct connection *connection) {
  connection->phase = FREE;
  connection->next = connections->free;
  connections->free = (uint32_t)(connection - connections->slots);
}

struct connection *connections_add(struct connections *connections, int fd, const struct in6_addr *address, int64_t now) {
  struct connection *connection = connections->open >= connections->total ? NULL : take_slot(connections);
  if (connection == NULL) return NULL;
  struct source *source = source_add(connections, address);
  if (source == NULL) {
    release_slot(connections, connection);
    return NULL;
  }
  *connection = (struct connection){.fd = fd, .generation = connection->generation + 1, .source = source, .address = *address};
  append_connection(connections, connection, HELLO, now);
  connections->open++;
  return connection;
}

void connections_remove(struct connections *connections, struct connection *connection) {
  unlink_connection(connections, connection);
  source_remove(connections, connection->source);
  free(connection->partial);
  connection->partial = NULL;
  release_slot(connections, connection);
  connections->open--;
}

void connections_move(struct connections *connections, struct connection *connection, enum phase phase, int64_t now) {
  unlink_connection(connections, connection);
  append_connection(connections, connection, phase, now);
}

struct connection *connections_first(const struct connections *connections, enum phase phase) {
  uint32_t first = connections->phases[phase].first;
  return first == NONE ? NULL : &connections->slots[first];
}

// 21 bits of slot number (two million connections) under 32 bits of generation: fits a JavaScript number.
uint64_t connection_id(const struct connections *connections, const struct connection *connection) {
  return (uint64_t)connection->generation << 21 | (uint64_t)(connection - connections->slots);
}

struct connection *connections_find(const struct connections *connections, uint64_t id) {
  uint64_t index = id & ((1u << 21) - 1);
  if (index >= connections->used) return NULL;
  struct connection *connection = &connections->slots[index];
  return connection->phase != FREE && connection->generation == id >> 21 ? connection : NULL;
}
