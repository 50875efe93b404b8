// A hash table by IPv6 address. It belongs to one thread and holds no memory of its entries: they begin with router_map_entry.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct router_map_entry {
  struct router_map_entry *next;
  uint8_t address[16];
};

struct router_map {
  struct router_map_entry **buckets;
  size_t size, count;  // size: a power of two
  uint64_t seed;       // nobody outside can choose addresses that collide
};

// False without memory.
bool router_map_init(struct router_map *map);
// The entries stay the caller's.
void router_map_free(struct router_map *map);
// NULL if there is none.
struct router_map_entry *router_map_find(const struct router_map *map, const uint8_t address[16]);
// Adds an entry whose address is in it and not in the map.
void router_map_add(struct router_map *map, struct router_map_entry *entry);
void router_map_remove(struct router_map *map, struct router_map_entry *entry);
// Takes any entry out; NULL if the map is empty.
struct router_map_entry *router_map_take(struct router_map *map);
