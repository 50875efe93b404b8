// The table of an acceptor's connections: source, phase and since when in it. No JavaScript, no system calls.
#pragma once
#include "backlog/backlog.h"

enum { NONE = UINT32_MAX };

// Each phase has a backlog of its connections in the order in which they entered it: since all connections of a phase have the same
// timeout, the first is always the next one to time out.
enum phase { FREE, HELLO, CLAIM, WORKING, CLOSING, PHASES };

struct connection {
  struct backlog_entry entry;  // the first member; in the backlog of its phase
  int fd;
  uint32_t index, generation;  // the generation counts up when the slot is used again, so that an old id finds nothing
  uint32_t next_free;
  uint8_t phase;
  uint8_t tag;     // one byte that the caller wants to have back with later events
  bool received;   // something was read from the peer
  bool unwatched;  // not in the epoll set
  uint16_t have, need;
  uint8_t *partial;  // the received part of an incomplete message, else NULL
  struct in6_addr address;
};

struct connections {
  struct connection **slots;
  uint32_t capacity, used, open, free;
  uint32_t total, per_source;
  struct backlog phases[PHASES];
};

bool connections_init(struct connections *connections, uint32_t total, uint32_t per_source, uint64_t salt);
void connections_free(struct connections *connections);
// Can one more connection from this address be added, once `*payer` is closed, which is NULL if there is room? If its source has as many as
// it may have, one of that source pays that has been idle for long; or else one of all does, if there are as many as there may be.
bool connections_make_room(const struct connections *connections, const struct in6_addr *address, int64_t now, struct connection **payer);
// Adds a connection in phase HELLO; NULL if the table is full or there is no memory.
struct connection *connections_add(struct connections *connections, int fd, const struct in6_addr *address, int64_t now);
// Frees its slot; the caller closes the descriptor.
void connections_remove(struct connections *connections, struct connection *connection);
// Moves it to the end of another phase. False without memory: then it has to be removed.
bool connections_move(struct connections *connections, struct connection *connection, enum phase phase, int64_t now);
// The connection that has been in this phase the longest, or NULL.
struct connection *connections_first(const struct connections *connections, enum phase phase);
uint64_t connection_id(const struct connection *connection);
// The connection with this id, or NULL if it is closed.
struct connection *connections_find(const struct connections *connections, uint64_t id);
