// A TCP server of short framed exchanges: thousands of connections may be open and silent at the cost of some hundred bytes
// each, and JavaScript hears only of whole messages, of peers that broke the framing and of those that are late or gone.
#include "acceptor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, ACCEPTS = 16 };
static const char *const EVENT_NAMES[] = {"message", "bad-header", "late", "gone", "crowded"};
// What the listening socket has instead of an id in the epoll set; ids stay below 2^53.
static const uint64_t LISTENER = UINT64_MAX;

int64_t door_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void door_watch_visit(struct door *door, struct visit *visit) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = visit_id(&door->doorway, visit)};
  visit->unwatched = epoll_ctl(door->epoll, EPOLL_CTL_ADD, visit->fd, &event) != 0;
}

static void unwatch_visit(struct door *door, struct visit *visit) {
  if (!visit->unwatched) epoll_ctl(door->epoll, EPOLL_CTL_DEL, visit->fd, NULL);
  visit->unwatched = true;
}

// The listener leaves the epoll set while accepting is impossible (no descriptors), or it would wake us for ever.
void door_accept_on(struct door *door, bool on) {
  if (door->listener < 0 || on == door->accepting) return;
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = LISTENER};
  if (epoll_ctl(door->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, door->listener, &event) == 0) door->accepting = on;
}

void door_end_visit(struct door *door, struct visit *visit) {
  close(visit->fd);  // leaves the epoll set by itself
  doorway_leave(&door->doorway, visit);
  door_accept_on(door, true);
}

void door_stop_accepting(struct door *door) {
  if (door->listener < 0) return;
  // Before it is closed: a child process may hold the same listener, and then closing takes nothing out of the set.
  door_accept_on(door, false);
  close(door->listener);
  door->listener = -1;
}

void door_close_all(struct door *door) {
  if (door->watch != NULL) poll_close(door->watch);
  door_stop_accepting(door);
  for (int phase = HELLO; phase < PHASES; phase++)
    for (struct visit *visit; (visit = doorway_first(&door->doorway, phase)) != NULL;) door_end_visit(door, visit);
  if (door->epoll >= 0) close(door->epoll);
  door->epoll = -1;
}

// Calls JavaScript; the visit may be over afterwards.
static void report(struct door *door, enum event event, uint64_t id, const struct in6_addr *from, uint8_t note, bool claims,
                   const uint8_t *data, size_t length) {
  char text[INET6_ADDRSTRLEN] = "";
  napi_value arguments[6], buffer;
  void *memory;
  if (door->watch == NULL) return;
  if (IN6_IS_ADDR_V4MAPPED(from)) inet_ntop(AF_INET, from->s6_addr + 12, text, sizeof text);
  else inet_ntop(AF_INET6, from, text, sizeof text);
  napi_create_string_latin1(door->env, EVENT_NAMES[event], NAPI_AUTO_LENGTH, &arguments[0]);
  napi_create_double(door->env, (double)id, &arguments[1]);
  napi_create_string_latin1(door->env, text, NAPI_AUTO_LENGTH, &arguments[2]);
  napi_create_uint32(door->env, note, &arguments[3]);
  napi_get_boolean(door->env, claims, &arguments[4]);
  if (napi_create_arraybuffer(door->env, length, &memory, &buffer) != napi_ok) return;
  if (length > 0) memcpy(memory, data, length);
  napi_create_typedarray(door->env, napi_uint8_array, length, buffer, 0, &arguments[5]);
  poll_call(door->watch, 6, arguments);
}

void door_report_visit(struct door *door, enum event event, struct visit *visit, const uint8_t *data, size_t length) {
  bool claims = visit->phase == CLAIM;
  struct in6_addr from = visit->address;  // the table may move during the call
  doorway_move(&door->doorway, visit, WORKING, door_now());
  free(visit->partial);
  visit->partial = NULL;
  report(door, event, visit_id(&door->doorway, visit), &from, visit->note, claims, data, length);
}

// The length that a known header announces, or 0.
static size_t announced(const struct door *door, const uint8_t *header) {
  for (size_t i = 0; i < door->header_count; i++)
    if (memcmp(door->headers[i], header, HEADER) == 0) return (size_t)header[1] << 8 | header[2];
  return 0;
}

// Keeps what came of a message until the rest comes.
static bool keep(struct visit *visit, const uint8_t *bytes, size_t have) {
  uint8_t *partial = realloc(visit->partial, have < HEADER ? HEADER : visit->need);
  if (partial == NULL) return false;
  memcpy(partial, bytes, have);
  visit->partial = partial;
  visit->have = (uint16_t)have;
  return true;
}

// Reads on at a message, first the header alone and then what it announces: never a byte further.
static void read_message(struct door *door, struct visit *visit) {
  uint8_t bytes[MAX_MESSAGE];
  size_t have = visit->have;
  if (have > 0) memcpy(bytes, visit->partial, have);
  for (;;) {
    size_t need = have < HEADER ? HEADER : visit->need;
    ssize_t got = recv(visit->fd, bytes + have, need - have, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) {
      // Whoever came and said nothing is not worth a word.
      if (visit->said) door_report_visit(door, GONE, visit, NULL, 0);
      else door_end_visit(door, visit);
      return;
    }
    visit->said = true;
    have += (size_t)got;
    if (have == HEADER && need == HEADER) {
      visit->need = (uint16_t)announced(door, bytes);
      if (visit->need == 0) {
        door_report_visit(door, BAD_HEADER, visit, bytes, HEADER);
        return;
      }
    }
    if (have >= HEADER && have == visit->need) {
      visit->have = 0;
      door_report_visit(door, MESSAGE, visit, bytes, have);
      return;
    }
  }
  if (have > visit->have && !keep(visit, bytes, have)) door_end_visit(door, visit);
}

// Throws away what a peer still says after our last words; unread bytes would turn the close into a reset.
static void read_away(struct door *door, struct visit *visit) {
  uint8_t bytes[MAX_MESSAGE];
  for (int i = 0; i < 16; i++) {
    ssize_t got = recv(visit->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    door_end_visit(door, visit);
    return;
  }
}

static void turn_away(struct door *door, int fd, const struct in6_addr *from) {
  uint8_t bytes[MAX_MESSAGE];
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
  if (send(fd, door->refusal, door->refusal_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) errno = 0;
  close(fd);
  report(door, CROWDED, 0, from, 0, false, NULL, 0);
}

static void address_of(const struct sockaddr_storage *peer, struct in6_addr *address) {
  if (peer->ss_family == AF_INET6) *address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
  else {
    *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(address->s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
  }
}

static void admit_one(struct door *door, int fd, const struct in6_addr *from) {
  struct doorway *doorway = &door->doorway;
  if (!doorway_welcomes(doorway, from)) {
    turn_away(door, fd, from);
    return;
  }
  // Full: whoever has been silent the longest makes room. A flood of idle connections keeps nobody out that way.
  if (doorway->open >= doorway->total) {
    struct visit *silent = doorway_first(doorway, HELLO);
    if (silent == NULL) {
      turn_away(door, fd, from);
      return;
    }
    door_end_visit(door, silent);
  }
  struct visit *visit = doorway_enter(doorway, fd, from, door_now());
  if (visit == NULL) {
    close(fd);
    return;
  }
  door_watch_visit(door, visit);
  if (visit->unwatched) door_end_visit(door, visit);
}

static void accept_some(struct door *door) {
  // A few at a time: what is left is for another process that listens, or for the next round.
  for (int i = 0; i < ACCEPTS && door->listener >= 0; i++) {
    struct sockaddr_storage peer;
    struct in6_addr from;
    socklen_t length = sizeof peer;
    int fd = accept4(door->listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Without descriptors or memory nobody can be accepted until somebody leaves (or the next tick).
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) door_accept_on(door, false);
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return;
    }
    address_of(&peer, &from);
    admit_one(door, fd, &from);
  }
}

void door_on_ready(void *owner, int error) {
  struct door *door = owner;
  struct epoll_event events[EVENTS];
  if (error != 0) return;
  int count = epoll_wait(door->epoll, events, EVENTS, 0);
  for (int i = 0; i < count && door->epoll >= 0; i++) {
    napi_handle_scope scope;
    if (events[i].data.u64 == LISTENER) {
      if (napi_open_handle_scope(door->env, &scope) != napi_ok) return;
      accept_some(door);
      napi_close_handle_scope(door->env, scope);
      continue;
    }
    struct visit *visit = doorway_find(&door->doorway, events[i].data.u64);
    if (visit == NULL) continue;
    if (napi_open_handle_scope(door->env, &scope) != napi_ok) return;
    if (visit->phase == PARTING) read_away(door, visit);
    else if (visit->phase == WORKING) unwatch_visit(door, visit);
    else read_message(door, visit);
    napi_close_handle_scope(door->env, scope);
  }
}
