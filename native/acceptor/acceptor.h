// A TCP server of short framed exchanges, between its two halves: reading and accepting (acceptor.c), and the functions
// that JavaScript calls (napi.c).
#pragma once
#include "connections.h"
#include "addon/handle.h"
#include "addon/poll.h"

enum { HEADER = 4, MAX_HEADERS = 16, MAX_MESSAGE = 4096, MAX_REFUSAL = 64, MAX_DEADLINE = 86400000 };
// AcceptorEventKind of acceptor.ts.
enum event { MESSAGE, BAD_HEADER, TIMED_OUT, CLOSED, OVER_LIMIT, LEFT };

struct acceptor {
  napi_env env;
  int listener, epoll;
  bool accepting;  // the listening socket is in the epoll set
  struct poll *poll;
  struct connections connections;
  uint8_t headers[MAX_HEADERS][HEADER];
  size_t header_count;
  uint8_t refusal[MAX_REFUSAL];
  size_t refusal_length;
  int64_t deadlines[PHASES];
};

int64_t acceptor_now(void);
// Reports an event and stops reading from the connection. JavaScript may do anything to the acceptor during the call.
void acceptor_report(struct acceptor *acceptor, enum event event, struct connection *connection, const uint8_t *data,
                     size_t length);
// Puts a connection into the epoll set (`unwatched` stays true if that fails).
void acceptor_watch(struct acceptor *acceptor, struct connection *connection);
// Closes a connection at once and frees its slot.
void acceptor_end(struct acceptor *acceptor, struct connection *connection);
// Closes all connections of a phase.
void acceptor_end_phase(struct acceptor *acceptor, enum phase phase);
// Adds the listening socket to the epoll set or removes it, if it is open.
void acceptor_set_accepting(struct acceptor *acceptor, bool on);
// Closes the listening socket.
void acceptor_stop_accepting(struct acceptor *acceptor);
void acceptor_close_all(struct acceptor *acceptor);
// The callback of the poll handle (addon/poll.h).
void acceptor_on_ready(void *owner, int error);
