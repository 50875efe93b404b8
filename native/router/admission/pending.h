// The connections that have proved nothing yet: at which step each is, and which one goes when there are too many. Shared by the router's
// threads.
#pragma once
#include "backlog/backlog.h"
#include "ratelimit.h"

struct router_place;

// Places that were taken away, for the thread that has their connections.
struct router_evicted {
  struct router_place *first;
  _Atomic bool any;
  int wake;  // an eventfd that wakes the thread
};

enum router_step {
  ROUTER_STEP_HELLO,      // its ClientHello has not come, or not all of it
  ROUTER_STEP_HANDSHAKE,  // from its ClientHello to the end of the handshake
  ROUTER_STEP_ADMISSION,  // it has proved a key, and waits for JavaScript
  ROUTER_STEPS_UNDER_WAY,
  ROUTER_STEP_LEAVING = ROUTER_STEPS_UNDER_WAY,  // it was refused, and has not closed yet
  ROUTER_STEPS,
  ROUTER_STEP_NONE = ROUTER_STEPS,
};

// A member of a connection. `evicted` and `source` are set before it enters.
struct router_place {
  struct backlog_entry entry;  // the first member
  struct router_evicted *evicted;
  uint64_t source;
  enum router_step step;
  bool taken_away;  // and in the list `evicted`
  struct router_place *next_evicted;
};

struct router_pending {
  pthread_mutex_t lock;
  struct router_ratelimit *ratelimit;
  struct backlog steps[ROUTER_STEPS];
};

// False without memory.
bool router_pending_init(struct router_pending *pending, struct router_ratelimit *ratelimit);
void router_pending_free(struct router_pending *pending);
// Gives a new connection its place, if need be that of another one. False if it has to be closed.
bool router_pending_enter(struct router_pending *pending, struct router_place *place, uint64_t now);
// Moves a place to the next step. False if it was taken away meanwhile, or there is no memory: the connection has to be closed.
bool router_pending_advance(struct router_pending *pending, struct router_place *place, enum router_step step, uint64_t now);
// Gives a place back, if it still has one, and charges its source if `refused`.
void router_pending_leave(struct router_pending *pending, struct router_place *place, bool refused, uint64_t now);
// Gives a place to a connection that was refused and has left, while it closes. False without memory.
bool router_pending_linger(struct router_pending *pending, struct router_place *place, uint64_t now);
// A place of the thread that was taken away, or NULL: its connection has to be closed.
struct router_place *router_pending_evicted(struct router_pending *pending, struct router_evicted *evicted);
