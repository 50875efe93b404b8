// A TCP server of short framed exchanges: thousands of connections may be open and idle at the cost of some hundred bytes
// each. JavaScript is called only for whole messages, unknown headers, timeouts, closed connections and refused ones.
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
static const char *const EVENT_NAMES[] = {"message", "bad-header", "timeout", "closed", "over-limit", "left"};
// The id of the listening socket in the epoll set; ids of connections stay below 2^53.
static const uint64_t LISTENER = UINT64_MAX;

int64_t acceptor_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void acceptor_watch(struct acceptor *acceptor, struct connection *connection) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = connection_id(connection)};
  connection->unwatched = epoll_ctl(acceptor->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0;
}

// Before the close: while a child process holds the same socket, closing it takes nothing out of the epoll set.
static void unwatch(struct acceptor *acceptor, struct connection *connection) {
  if (!connection->unwatched) epoll_ctl(acceptor->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
  connection->unwatched = true;
}

// The listening socket leaves the epoll set while accepting is impossible (no descriptors), or it would wake us for ever.
void acceptor_set_accepting(struct acceptor *acceptor, bool on) {
  if (acceptor->listener < 0 || on == acceptor->accepting) return;
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = LISTENER};
  if (epoll_ctl(acceptor->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, acceptor->listener, &event) == 0) acceptor->accepting = on;
}

void acceptor_end(struct acceptor *acceptor, struct connection *connection) {
  unwatch(acceptor, connection);
  close(connection->fd);
  connections_remove(&acceptor->connections, connection);
  acceptor_set_accepting(acceptor, true);
}

void acceptor_stop_accepting(struct acceptor *acceptor) {
  if (acceptor->listener < 0) return;
  acceptor_set_accepting(acceptor, false);
  close(acceptor->listener);
  acceptor->listener = -1;
}

void acceptor_end_phase(struct acceptor *acceptor, enum phase phase) {
  for (struct connection *connection; (connection = connections_first(&acceptor->connections, phase)) != NULL;)
    acceptor_end(acceptor, connection);
}

void acceptor_close_all(struct acceptor *acceptor) {
  if (acceptor->poll != NULL) poll_close(acceptor->poll);
  acceptor_stop_accepting(acceptor);
  for (int phase = HELLO; phase < PHASES; phase++) acceptor_end_phase(acceptor, (enum phase)phase);
  if (acceptor->epoll >= 0) close(acceptor->epoll);
  acceptor->epoll = -1;
}

// Calls JavaScript; the connection may be closed afterwards.
static void report(struct acceptor *acceptor, enum event event, uint64_t id, const struct in6_addr *from, uint8_t tag,
                   bool answered, const uint8_t *data, size_t length) {
  char text[INET6_ADDRSTRLEN] = "";
  napi_value arguments[6], buffer;
  void *memory;
  if (acceptor->poll == NULL) return;
  if (IN6_IS_ADDR_V4MAPPED(from)) inet_ntop(AF_INET, from->s6_addr + 12, text, sizeof text);
  else inet_ntop(AF_INET6, from, text, sizeof text);
  napi_create_string_latin1(acceptor->env, EVENT_NAMES[event], NAPI_AUTO_LENGTH, &arguments[0]);
  napi_create_double(acceptor->env, (double)id, &arguments[1]);
  napi_create_string_latin1(acceptor->env, text, NAPI_AUTO_LENGTH, &arguments[2]);
  napi_create_uint32(acceptor->env, tag, &arguments[3]);
  napi_get_boolean(acceptor->env, answered, &arguments[4]);
  if (napi_create_arraybuffer(acceptor->env, length, &memory, &buffer) != napi_ok) return;
  if (length > 0) memcpy(memory, data, length);
  napi_create_typedarray(acceptor->env, napi_uint8_array, length, buffer, 0, &arguments[5]);
  poll_call(acceptor->poll, 6, arguments);
}

void acceptor_report(struct acceptor *acceptor, enum event event, struct connection *connection, const uint8_t *data,
                     size_t length) {
  bool answered = connection->phase == CLAIM;
  if (!connections_move(&acceptor->connections, connection, WORKING, acceptor_now())) {
    acceptor_end(acceptor, connection);
    return;
  }
  free(connection->partial);
  connection->partial = NULL;
  struct in6_addr from = connection->address;  // the connection may be another one after the call
  report(acceptor, event, connection_id(connection), &from, connection->tag, answered, data, length);
}

// The length that a known header announces, or 0 for any other.
static size_t announced(const struct acceptor *acceptor, const uint8_t *header) {
  for (size_t i = 0; i < acceptor->header_count; i++)
    if (memcmp(acceptor->headers[i], header, HEADER) == 0) return (size_t)header[1] << 8 | header[2];
  return 0;
}

// Stores the received part of a message until the rest arrives.
static bool store_partial(struct connection *connection, const uint8_t *bytes, size_t have) {
  uint8_t *partial = realloc(connection->partial, have < HEADER ? HEADER : connection->need);
  if (partial == NULL) return false;
  memcpy(partial, bytes, have);
  connection->partial = partial;
  connection->have = (uint16_t)have;
  return true;
}

// Reads one message, first the header alone and then the length that it announces: never a byte more.
static void read_message(struct acceptor *acceptor, struct connection *connection) {
  uint8_t bytes[MAX_MESSAGE];
  size_t have = connection->have;
  if (have > 0) memcpy(bytes, connection->partial, have);
  for (;;) {
    size_t need = have < HEADER ? HEADER : connection->need;
    ssize_t got = recv(connection->fd, bytes + have, need - have, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) {
      // A connection that closes without a byte is not reported.
      bool left = got == 0 && have == 0 && connection->phase == CLAIM;
      if (connection->received) acceptor_report(acceptor, left ? LEFT : CLOSED, connection, NULL, 0);
      else acceptor_end(acceptor, connection);
      return;
    }
    connection->received = true;
    have += (size_t)got;
    if (have == HEADER && need == HEADER) {
      connection->need = (uint16_t)announced(acceptor, bytes);
      if (connection->need == 0) {
        acceptor_report(acceptor, BAD_HEADER, connection, bytes, HEADER);
        return;
      }
    }
    if (have >= HEADER && have == connection->need) {
      connection->have = 0;
      acceptor_report(acceptor, MESSAGE, connection, bytes, have);
      return;
    }
  }
  if (have > connection->have && !store_partial(connection, bytes, have)) acceptor_end(acceptor, connection);
}

// Discards what a peer still sends after our last message; unread bytes would turn the close into a reset.
static void discard_input(struct acceptor *acceptor, struct connection *connection) {
  uint8_t bytes[MAX_MESSAGE];
  for (int i = 0; i < 16; i++) {
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    acceptor_end(acceptor, connection);
    return;
  }
}

static void refuse(struct acceptor *acceptor, int fd, const struct in6_addr *from) {
  uint8_t bytes[MAX_MESSAGE];
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
  if (send(fd, acceptor->refusal, acceptor->refusal_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) errno = 0;
  close(fd);
  report(acceptor, OVER_LIMIT, 0, from, 0, false, NULL, 0);
}

static void address_of(const struct sockaddr_storage *peer, struct in6_addr *address) {
  if (peer->ss_family == AF_INET6) *address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
  else {
    *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(address->s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
  }
}

// Closes a connection for a new one. A device that has computed its part meanwhile is told, so that it comes again soon.
static void evict(struct acceptor *acceptor, struct connection *connection) {
  struct in6_addr from = connection->address;
  bool answered = connection->phase == CLAIM;
  if (answered && send(connection->fd, acceptor->refusal, acceptor->refusal_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) errno = 0;
  acceptor_end(acceptor, connection);
  if (answered) report(acceptor, OVER_LIMIT, 0, &from, 0, true, NULL, 0);
}

static void add_connection(struct acceptor *acceptor, int fd, const struct in6_addr *from) {
  struct connections *connections = &acceptor->connections;
  struct connection *payer;
  if (!connections_make_room(connections, from, acceptor_now(), &payer)) {
    refuse(acceptor, fd, from);
    return;
  }
  if (payer != NULL) evict(acceptor, payer);
  struct connection *connection = acceptor->epoll < 0 ? NULL : connections_add(connections, fd, from, acceptor_now());
  if (connection == NULL) {
    close(fd);
    return;
  }
  acceptor_watch(acceptor, connection);
  if (connection->unwatched) acceptor_end(acceptor, connection);
}

static void accept_some(struct acceptor *acceptor) {
  // A few at a time: the rest is left to other processes on the same socket, or to the next round.
  for (int i = 0; i < ACCEPTS && acceptor->listener >= 0; i++) {
    struct sockaddr_storage peer;
    struct in6_addr from;
    socklen_t length = sizeof peer;
    int fd = accept4(acceptor->listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Without descriptors or memory nothing can be accepted until a connection closes (or the next tick).
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) acceptor_set_accepting(acceptor, false);
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return;
    }
    address_of(&peer, &from);
    add_connection(acceptor, fd, &from);
  }
}

void acceptor_on_ready(void *owner, int error) {
  struct acceptor *acceptor = owner;
  struct epoll_event events[EVENTS];
  if (error != 0) return;
  int count = epoll_wait(acceptor->epoll, events, EVENTS, 0);
  for (int i = 0; i < count && acceptor->epoll >= 0; i++) {
    napi_handle_scope scope;
    if (events[i].data.u64 == LISTENER) {
      if (napi_open_handle_scope(acceptor->env, &scope) != napi_ok) return;
      accept_some(acceptor);
      napi_close_handle_scope(acceptor->env, scope);
      continue;
    }
    struct connection *connection = connections_find(&acceptor->connections, events[i].data.u64);
    if (connection == NULL) continue;
    if (napi_open_handle_scope(acceptor->env, &scope) != napi_ok) return;
    if (connection->phase == CLOSING) discard_input(acceptor, connection);
    else if (connection->phase == WORKING) unwatch(acceptor, connection);
    else read_message(acceptor, connection);
    napi_close_handle_scope(acceptor->env, scope);
  }
}
