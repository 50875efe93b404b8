// A TCP server of short framed exchanges, between its two halves: the connections (door.c) and what JavaScript calls
// (door_napi.c).
#pragma once
#include "connections.h"
#include "addon/handle.h"
#include "addon/poll.h"

enum { HEADER = 4, MAX_HEADERS = 16, MAX_MESSAGE = 4096, MAX_REFUSAL = 64, MAX_DEADLINE = 86400000 };
enum event { MESSAGE, BAD_HEADER, LATE, GONE, CROWDED };
struct door {
  napi_env env;
  int listener, epoll;
  bool accepting;  // the listener is in the epoll set
  struct poll *watch;
  struct doorway doorway;
  uint8_t headers[MAX_HEADERS][HEADER];
  size_t header_count;
  uint8_t refusal[MAX_REFUSAL];
  size_t refusal_length;
  int64_t deadlines[PHASES];
};

int64_t door_now(void);
// Calls JavaScript; what else it does to the door may be anything.
void door_report_visit(struct door *door, enum event event, struct visit *visit, const uint8_t *data, size_t length);
// Puts a visit into the epoll set (`unwatched` stays true if that fails).
void door_watch_visit(struct door *door, struct visit *visit);
void door_end_visit(struct door *door, struct visit *visit);
// Takes the listener in or out of the epoll set, where there is one.
void door_accept_on(struct door *door, bool on);
void door_stop_accepting(struct door *door);
void door_close_all(struct door *door);
// A poll_ready.
void door_on_ready(void *owner, int error);
