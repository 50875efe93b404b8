#include "addresstable.h"
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

bool router_addresstable_init(struct router_addresstable *map) {
  *map = (struct router_addresstable){.buckets = calloc(FIRST_SIZE, sizeof *map->buckets), .size = FIRST_SIZE};
  return map->buckets != NULL && RAND_bytes((unsigned char *)&map->seed, sizeof map->seed) == 1;
}

void router_addresstable_free(struct router_addresstable *map) {
  free(map->buckets);
  *map = (struct router_addresstable){0};
}

static uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  return value ^ value >> 32;
}

static size_t bucket_of(const struct router_addresstable *map, const uint8_t address[16]) {
  uint64_t halves[2];
  memcpy(halves, address, sizeof halves);
  return mix(mix(halves[1] ^ map->seed) ^ halves[0]) & (map->size - 1);
}

struct router_addresstable_entry *router_addresstable_find(const struct router_addresstable *map, const uint8_t address[16]) {
  struct router_addresstable_entry *entry = map->buckets[bucket_of(map, address)];
  while (entry != NULL && memcmp(entry->address, address, sizeof entry->address) != 0) entry = entry->next;
  return entry;
}

static void link_entry(struct router_addresstable *map, struct router_addresstable_entry *entry) {
  struct router_addresstable_entry **bucket = &map->buckets[bucket_of(map, entry->address)];
  entry->next = *bucket;
  *bucket = entry;
}

// Without memory the table stays as it is, and its chains get longer.
static void grow(struct router_addresstable *map) {
  struct router_addresstable_entry **former = map->buckets, **buckets = calloc(map->size * 2, sizeof *buckets);
  size_t size = map->size;
  if (buckets == NULL) return;
  map->buckets = buckets;
  map->size = size * 2;
  for (size_t i = 0; i < size; i++) {
    for (struct router_addresstable_entry *entry = former[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      link_entry(map, entry);
    }
  }
  free(former);
}

void router_addresstable_add(struct router_addresstable *map, struct router_addresstable_entry *entry) {
  if (map->count >= map->size) grow(map);
  link_entry(map, entry);
  map->count++;
}

void router_addresstable_remove(struct router_addresstable *map, struct router_addresstable_entry *entry) {
  struct router_addresstable_entry **at = &map->buckets[bucket_of(map, entry->address)];
  while (*at != NULL && *at != entry) at = &(*at)->next;
  if (*at == NULL) return;
  *at = entry->next;
  map->count--;
}

struct router_addresstable_entry *router_addresstable_take(struct router_addresstable *map) {
  for (size_t i = 0; i < map->size && map->count > 0; i++) {
    struct router_addresstable_entry *entry = map->buckets[i];
    if (entry == NULL) continue;
    router_addresstable_remove(map, entry);
    return entry;
  }
  return NULL;
}
