#include "connections.h"
#include <stdlib.h>

// Who has been in a phase for so long may be closed for a newcomer of the same source, or of the crowd that it is of, milliseconds.
static const uint64_t LATE[PHASES] = {[HELLO] = 1000, [CLAIM] = 5000};

bool connections_init(struct connections *connections, uint32_t total, uint32_t per_source, uint64_t salt) {
  bool memory = true;
  *connections = (struct connections){.total = total, .per_source = per_source, .free = NONE};
  for (int phase = HELLO; phase < PHASES; phase++) memory &= backlog_init(&connections->phases[phase], total, salt);
  return memory;
}

void connections_free(struct connections *connections) {
  for (uint32_t i = 0; i < connections->used; i++) {
    free(connections->slots[i]->partial);
    connections->slots[i]->phase = FREE;
  }
  for (int phase = HELLO; phase < PHASES; phase++)
    if (connections->phases[phase].buckets != NULL) backlog_free(&connections->phases[phase]);
  for (uint32_t i = 0; i < connections->used; i++) free(connections->slots[i]);
  free(connections->slots);
  *connections = (struct connections){.free = NONE};
}

static struct connection *connection_of(struct backlog_entry *entry) { return (struct connection *)(void *)entry; }

static bool is_late(const struct backlog_entry *entry, enum phase phase, uint64_t now) { return now - entry->since >= LATE[phase]; }

// Of those that only wait for the peer: the silent ones first, then those that have got their last message. A crowd does not exchange those
// that were answered as fast as it can connect: each costs an answer.
static struct connection *payer_of_all(const struct connections *connections, uint64_t source, uint64_t now) {
  static const enum phase order[] = {HELLO, CLOSING, CLAIM};
  const struct backlog *const phases[] = {&connections->phases[HELLO], &connections->phases[CLOSING], &connections->phases[CLAIM]};
  int at = backlog_payer(phases, 3, connections->total);
  if (at < 0) return NULL;
  struct backlog_entry *entry = backlog_crowded(phases[at], false);
  bool spared = order[at] == CLAIM && backlog_is_crowded(phases[at], source) && !is_late(entry, CLAIM, now);
  return spared ? NULL : connection_of(entry);
}

static struct connection *payer_of_source(const struct connections *connections, uint64_t source, uint64_t now) {
  for (enum phase phase = HELLO; phase <= CLAIM; phase++) {
    struct backlog_entry *entry = backlog_of(&connections->phases[phase], source);
    if (entry != NULL && is_late(entry, phase, now)) return connection_of(entry);
  }
  return NULL;
}

bool connections_make_room(const struct connections *connections, const struct in6_addr *address, int64_t now, struct connection **payer) {
  uint64_t source = backlog_source(address);
  uint32_t own = 0;
  for (int phase = HELLO; phase < PHASES; phase++) own += backlog_count(&connections->phases[phase], source);
  *payer = NULL;
  if (own < connections->per_source && connections->open < connections->total) return true;
  *payer = own >= connections->per_source ? payer_of_source(connections, source, (uint64_t)now) : payer_of_all(connections, source, (uint64_t)now);
  return *payer != NULL;
}

static bool grow(struct connections *connections) {
  uint32_t capacity = connections->capacity == 0 ? 64 : connections->capacity * 2;
  struct connection **slots = realloc(connections->slots, capacity * sizeof *slots);
  if (slots == NULL) return false;
  connections->slots = slots;
  connections->capacity = capacity;
  return true;
}

// A freed slot, or a new one.
static struct connection *take_slot(struct connections *connections) {
  if (connections->free != NONE) {
    struct connection *connection = connections->slots[connections->free];
    connections->free = connection->next_free;
    return connection;
  }
  if (connections->used == connections->capacity && !grow(connections)) return NULL;
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) return NULL;
  connection->index = connections->used;
  connections->slots[connections->used++] = connection;
  return connection;
}

static void release_slot(struct connections *connections, struct connection *connection) {
  connection->phase = FREE;
  connection->next_free = connections->free;
  connections->free = connection->index;
}

struct connection *connections_add(struct connections *connections, int fd, const struct in6_addr *address, int64_t now) {
  struct connection *connection = connections->open >= connections->total ? NULL : take_slot(connections);
  if (connection == NULL) return NULL;
  *connection = (struct connection){
      .fd = fd, .index = connection->index, .generation = connection->generation + 1, .phase = HELLO, .address = *address};
  if (!backlog_add(&connections->phases[HELLO], &connection->entry, backlog_source(address), (uint64_t)now)) {
    release_slot(connections, connection);
    return NULL;
  }
  connections->open++;
  return connection;
}

void connections_remove(struct connections *connections, struct connection *connection) {
  if (connection->entry.source != NULL) backlog_remove(&connections->phases[connection->phase], &connection->entry);
  free(connection->partial);
  connection->partial = NULL;
  release_slot(connections, connection);
  connections->open--;
}

bool connections_move(struct connections *connections, struct connection *connection, enum phase phase, int64_t now) {
  backlog_remove(&connections->phases[connection->phase], &connection->entry);
  connection->phase = (uint8_t)phase;
  if (backlog_add(&connections->phases[phase], &connection->entry, backlog_source(&connection->address), (uint64_t)now)) return true;
  connection->entry.source = NULL;
  return false;
}

struct connection *connections_first(const struct connections *connections, enum phase phase) {
  return connection_of(connections->phases[phase].oldest);
}

// 21 bits of slot number (two million connections) under 32 bits of generation: fits a JavaScript number.
uint64_t connection_id(const struct connection *connection) { return (uint64_t)connection->generation << 21 | connection->index; }

struct connection *connections_find(const struct connections *connections, uint64_t id) {
  uint64_t index = id & ((1u << 21) - 1);
  if (index >= connections->used) return NULL;
  struct connection *connection = connections->slots[index];
  return connection->phase != FREE && connection->generation == id >> 21 ? connection : NULL;
}
