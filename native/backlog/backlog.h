// Connections that have proved nothing yet, all at the same step of their handshake, counted by the prefixes of their sources. When there
// are too many, the most crowded prefix pays: its oldest goes. Only the older half is counted and goes: whatever the newer half's sources
// are, it has the time that half of all take to arrive. So neither many silent connections of few prefixes nor few devices behind one NAT
// among many silent sources keep honest peers out. Pure: no clock, no sockets. fabric/identity/backlog.ts is the same in TypeScript.
#pragma once
#include "source.h"
#include <stddef.h>

struct backlog_prefix;

// A member of whatever is in a backlog.
struct backlog_entry {
  struct backlog_entry *older, *newer;              // of all
  struct backlog_entry *older_here, *newer_here;    // of its source
  struct backlog_prefix *source;
  uint64_t since;
  bool old;  // in the older half
};

struct backlog {
  struct backlog_entry *oldest, *newest;
  struct backlog_entry *oldest_new;  // in the newer half
  uint32_t count, old;
  uint64_t changes, seed;
  struct backlog_prefix *all, **buckets;  // `all`: the prefix of length 0
  size_t size;
};

// For about `expected` entries. `seed` is secret and random, so that nobody can choose sources that make it slow. False without memory.
bool backlog_init(struct backlog *backlog, uint32_t expected, uint64_t seed);
// Forgets its entries.
void backlog_free(struct backlog *backlog);
// Adds the newest entry; `since` is the caller's. False without memory.
bool backlog_add(struct backlog *backlog, struct backlog_entry *entry, uint64_t source, uint64_t since);
void backlog_remove(struct backlog *backlog, struct backlog_entry *entry);
// The oldest entry of the most crowded prefix, or its newest; NULL if there is none. Of equally crowded prefixes it is the one that has
// been so the longest.
struct backlog_entry *backlog_crowded(const struct backlog *backlog, bool newest);
// Is no prefix more crowded than those of this source? One more of it would pay.
bool backlog_is_crowded(const struct backlog *backlog, uint64_t source);
// The oldest entry of a source, or NULL.
struct backlog_entry *backlog_of(const struct backlog *backlog, uint64_t source);
// How many entries a source has.
uint32_t backlog_count(const struct backlog *backlog, uint64_t source);
// Which of the backlogs pays when they have `most` entries together: the first that holds more than a quarter of them, so that none is
// squeezed out by one behind it, or else the first that holds any. -1 if all are empty.
int backlog_payer(const struct backlog *const *backlogs, int count, uint32_t most);
