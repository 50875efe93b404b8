// The table of an acceptor's connections: source, phase and since when in it. No JavaScript, no system calls.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NONE = UINT32_MAX };

// Each phase has a list of its connections in the order in which they entered it: since all connections of a phase have the
// same timeout, the first of a list is always the next one to time out.
enum phase { FREE, HELLO, CLAIM, WORKING, CLOSING, PHASES };

struct source;

struct connection {
  int fd;
  uint32_t generation;  // counts up when the slot is used again, so that an old id finds nothing
  uint32_t previous, next;
  uint8_t phase;
  uint8_t tag;     // one byte that the caller wants to have back with later events
  bool received;   // something was read from the peer
  bool unwatched;  // not in the epoll set
  uint16_t have, need;
  uint8_t *partial;  // the received part of an incomplete message, else NULL
  int64_t since;
  struct source *source;
  struct in6_addr address;
};

struct list {
  uint32_t first, last;
};

struct connections {
  struct connection *slots;
  uint32_t capacity, used, open, free;
  uint32_t total, per_source;
  struct list phases[PHASES];
  struct source **sources;
  uint32_t buckets;
  uint64_t salt;
};

bool connections_init(struct connections *connections, uint32_t total, uint32_t per_source, uint64_t salt);
void connections_free(struct connections *connections);
// True if one more connection from this address is within the limit of its source.
bool connections_allow(const struct connections *connections, const struct in6_addr *address);
// Adds a connection in phase HELLO; NULL if the table is full or there is no memory.
struct connection *connections_add(struct connections *connections, int fd, const struct in6_addr *address, int64_t now);
// Frees its slot; the caller closes the descriptor.
void connections_remove(struct connections *connections, struct connection *connection);
// Moves it to the end of another phase's list.
void connections_move(struct connections *connections, struct connection *connection, enum phase phase, int64_t now);
// The connection that has been in this phase the longest, or NULL.
struct connection *connections_first(const struct connections *connections, enum phase phase);
uint64_t connection_id(const struct connections *connections, const struct connection *connection);
// The connection with this id, or NULL if it is closed.
struct connection *connections_find(const struct connections *connections, uint64_t id);
