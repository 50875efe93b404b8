// A hash table by IPv6 address, for one thread. The caller owns the entries, which begin with a router_addresstable_entry.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct router_addresstable_entry {
  struct router_addresstable_entry *next;
  uint8_t address[16];
};

struct router_addresstable {
  struct router_addresstable_entry **buckets;
  size_t size, count;  // size: a power of two
  uint64_t seed;       // random, so that no attacker can choose addresses that collide
};

// False without memory.
bool router_addresstable_init(struct router_addresstable *map);
// The entries stay the caller's.
void router_addresstable_free(struct router_addresstable *map);
// NULL if there is none.
struct router_addresstable_entry *router_addresstable_find(const struct router_addresstable *map, const uint8_t address[16]);
// Adds an entry. Its address is set, and not in the table.
void router_addresstable_add(struct router_addresstable *map, struct router_addresstable_entry *entry);
void router_addresstable_remove(struct router_addresstable *map, struct router_addresstable_entry *entry);
// Removes and returns any entry; NULL if the table is empty.
struct router_addresstable_entry *router_addresstable_take(struct router_addresstable *map);
