// The connections at a door: which there are, from where, in which phase and since when. No JavaScript, no system calls.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOBODY = UINT32_MAX };

// A visit is in the list of its phase, in the order in which they entered it: since every visit of a phase has the same
// time, the first of a list is always the next one that is late.
enum phase { FREE, HELLO, CLAIM, WORKING, PARTING, PHASES };

struct source;

struct visit {
  int fd;
  uint32_t generation;  // counts up when the place is taken again, so that a late id finds nobody
  uint32_t previous, next;
  uint8_t phase;
  uint8_t note;    // what the caller wants to remember: one byte
  bool said;       // something was read from the peer
  bool unwatched;  // not in the epoll set
  uint16_t have, need;
  uint8_t *partial;  // what there is of a message; only while one is cut in half
  int64_t since;
  struct source *source;
  struct in6_addr address;
};

struct list {
  uint32_t first, last;
};

struct doorway {
  struct visit *visits;
  uint32_t capacity, used, open, free;
  uint32_t total, per_source;
  struct list phases[PHASES];
  struct source **sources;
  uint32_t buckets;
  uint64_t salt;
};

bool doorway_open(struct doorway *doorway, uint32_t total, uint32_t per_source, uint64_t salt);
void doorway_release(struct doorway *doorway);
// True if one more from there is within the limit of its source.
bool doorway_welcomes(const struct doorway *doorway, const struct in6_addr *address);
// Takes a place in phase HELLO; NULL if there is none or no memory.
struct visit *doorway_enter(struct doorway *doorway, int fd, const struct in6_addr *address, int64_t now);
// Gives it back; the descriptor is the caller's to close.
void doorway_leave(struct doorway *doorway, struct visit *visit);
void doorway_move(struct doorway *doorway, struct visit *visit, enum phase phase, int64_t now);
// The longest in this phase, or NULL.
struct visit *doorway_first(const struct doorway *doorway, enum phase phase);
// A visit by its id, or NULL if it is over.
uint64_t visit_id(const struct doorway *doorway, const struct visit *visit);
struct visit *doorway_find(const struct doorway *doorway, uint64_t id);
