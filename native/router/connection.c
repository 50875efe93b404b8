// One peer from accept to close.
#include "router.h"
#include "packet/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  DISCARDED = 1 << 20,
  // The kernel asks an idle peer whether it is there, which costs a peer of whatever kind nothing.
  KEEPALIVE_IDLE_S = 30,
  KEEPALIVE_INTERVAL_S = 10,
  // One that does not answer is lost. A C peer sends a heartbeat each five minutes by default, and would not connect again any earlier.
  LOST_MS = 90000,
  LOST_C_PEER_MS = 330000,
  HELLO_MS = 4000,  // for the ClientHello, which follows the TCP handshake at once, or after two that were lost
};
// Every peer is heard from in this time, if it is there.
static const uint64_t QUIET = (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S) * 1000ull * DP_MILLISECOND;

// Asks epoll only for the events that the connection waits for.
static void choose_events(struct router_connection *connection) {
  uint32_t events = EPOLLIN;
  switch (connection->state) {
    case ROUTER_SILENT:
    case ROUTER_HANDSHAKING: events = connection->wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN; break;
    case ROUTER_WAITING: events = 0; break;
    case ROUTER_ADMITTED: events = dp_link_wants_write(&connection->link) ? EPOLLIN | EPOLLOUT : EPOLLIN; break;
    case ROUTER_CLOSING: events = EPOLLIN | EPOLLOUT; break;
    case ROUTER_DRAINING: break;
  }
  if (events == connection->events) return;
  struct epoll_event event = {.events = events, .data.ptr = connection};
  epoll_ctl(connection->thread->epoll, EPOLL_CTL_MOD, connection->fd, &event);
  connection->events = events;
}

static void set_option(int fd, int level, int name, int value) { (void)setsockopt(fd, level, name, &value, sizeof value); }

static void describe(const struct sockaddr_storage *from, char ends[ROUTER_ENDS]) {
  char text[INET6_ADDRSTRLEN] = "?";
  const struct sockaddr_in *v4 = (const void *)from;
  const struct sockaddr_in6 *v6 = (const void *)from;
  bool is_v4 = from->ss_family == AF_INET;
  inet_ntop(from->ss_family, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, text, sizeof text);
  snprintf(ends, ROUTER_ENDS, "%s %u", text, ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
}

struct router_connection *router_connection_at(struct router_place *place) {
  return (struct router_connection *)(void *)((char *)place - offsetof(struct router_connection, place));
}

// Into a list in which all have the same time.
static void enter_list(struct router_connection *connection, enum router_state state, struct router_list *list, uint32_t ms, uint64_t now) {
  if (connection->list != NULL) router_list_remove(connection);
  connection->state = state;
  connection->deadline = now + (uint64_t)ms * DP_MILLISECOND;
  router_list_add(list, connection);
}

void router_accept(struct router_thread *thread, int fd, const struct sockaddr_storage *from, uint64_t now) {
  struct router *router = thread->router;
  struct router_connection *connection = calloc(1, sizeof *connection);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (connection != NULL)
    connection->place = (struct router_place){.evicted = &thread->evicted, .source = router_ratelimit_source((const struct sockaddr *)from)};
  bool open = connection != NULL && router_pending_enter(&router->pending, &connection->place, now);
  if (!open || epoll_ctl(thread->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    if (open) router_pending_leave(&router->pending, &connection->place, false, now);
    free(connection);
    close(fd);
    return;
  }
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  connection->thread = thread;
  connection->fd = fd;
  connection->events = EPOLLIN;
  uint32_t ms = router->settings.handshake_ms < HELLO_MS ? router->settings.handshake_ms : HELLO_MS;
  enter_list(connection, ROUTER_SILENT, &thread->silent, ms, now);
}

static void leave_lists(struct router_connection *connection) {
  struct router_thread *thread = connection->thread;
  for (struct router_connection **at = &thread->dirty; connection->dirty && *at != NULL; at = &(*at)->next_dirty) {
    if (*at != connection) continue;
    *at = connection->next_dirty;
    connection->dirty = false;
    thread->dirty_count--;
    break;
  }
  for (struct router_connection **at = &thread->readable; connection->readable && *at != NULL; at = &(*at)->next_readable) {
    if (*at != connection) continue;
    *at = connection->next_readable;
    if (*at == NULL) thread->last_readable = at;
    connection->readable = false;
    break;
  }
}

// Has it served after others, although epoll may have nothing to report.
static void read_again(struct router_connection *connection) {
  struct router_thread *thread = connection->thread;
  if (connection->readable) return;
  connection->readable = true;
  connection->next_readable = NULL;
  *thread->last_readable = connection;
  thread->last_readable = &connection->next_readable;
}

// Reports once that the connection is over: packets no longer go to or come from it.
static void report_end(struct router_connection *connection, const char *why) {
  if (connection->peer->connection == NULL) return;
  connection->peer->connection = NULL;
  router_asker_leave(&connection->thread->lookups, &connection->asker);
  router_flows_leave(&connection->thread->flows, &connection->flows);
  struct router_event *event = calloc(1, sizeof *event);
  if (event == NULL) return;
  event->kind = ROUTER_ENDED;
  event->peer = router_peer_keep(connection->peer);
  snprintf(event->text, sizeof event->text, "%s", why);
  router_report(connection->thread, event);
}

// `refused`: what it has cost is charged to its source.
static void end(struct router_connection *connection, const char *why, bool refused, uint64_t now) {
  struct router_thread *thread = connection->thread;
  if (connection->fd < 0) return;
  leave_lists(connection);
  router_list_remove(connection);
  ERR_clear_error();
  if (connection->peer != NULL) {
    report_end(connection, why);
    router_peer_release(connection->peer);
    dp_link_free(&connection->link);
  }
  SSL_free(connection->ssl);
  // Before the close: while a child process holds the same socket, closing it takes nothing out of the epoll set.
  router_unwatch(thread, connection->fd);
  close(connection->fd);
  // A peer that sees its connection closed may connect again at once, so its place is given back right after.
  router_pending_leave(&thread->router->pending, &connection->place, refused, now);
  connection->fd = -1;
  connection->next_closed = thread->closed;
  thread->closed = connection;
}

void router_connection_close(struct router_connection *connection, const char *why, uint64_t now) {
  end(connection, why, connection->state == ROUTER_HANDSHAKING, now);
}

// The handshake is done: reports the peer to JavaScript. Nothing is read before that has admitted it.
static void report_arrival(struct router_connection *connection, uint64_t now) {
  struct router_thread *thread = connection->thread;
  struct router_peer *peer = router_peer_new(thread, connection);
  struct router_event *event = calloc(1, sizeof *event);
  struct sockaddr_storage from = {0};
  socklen_t length = sizeof from;
  if (peer == NULL || event == NULL || getpeername(connection->fd, (struct sockaddr *)&from, &length) < 0) {
    free(event);
    router_peer_release(peer);
    router_connection_close(connection, "", now);
    return;
  }
  connection->peer = peer;
  enter_list(connection, ROUTER_WAITING, &thread->waiting, thread->router->settings.handshake_ms, now);
  dp_link_init(&connection->link, connection->ssl, connection->fd, &thread->workspace, &peer->counters);
  connection->link.queue_limit = thread->router->settings.queue_bytes;
  connection->link.small_records = connection->link.wire == DP_WIRE_PLAIN;  // it may be enftun
  // Also for data that is not acknowledged, which would be sent again for a quarter of an hour.
  set_option(connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, connection->link.wire == DP_WIRE_PLAIN ? LOST_C_PEER_MS : LOST_MS);
  dp_set(&peer->counters.heard, now);
  event->kind = ROUTER_ARRIVED;
  event->peer = router_peer_keep(peer);
  event->thread = thread->index;
  event->wire = connection->link.wire;
  router_tls_peer(connection->ssl, event);
  describe(&from, event->ends);
  router_report(thread, event);
}

// Has OpenSSL read a whole ClientHello?
static bool has_hello(const SSL *ssl) {
  OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
  return state != TLS_ST_BEFORE && state != TLS_ST_SR_CLNT_HELLO;
}

// A connection that has sent nothing has no TLS state: it costs little, and is no failed handshake when it closes.
static bool begin(struct router_connection *connection) {
  char first;
  if (connection->ssl != NULL) return true;
  ssize_t got = recv(connection->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got > 0) connection->ssl = router_tls_accept(connection->thread->tls, connection->fd, atomic_load(&connection->thread->router->vouched));
  if (connection->ssl != NULL) return true;
  router_connection_close(connection, "", connection->thread->now);
  return false;
}

// False if its place was taken away.
static bool advance(struct router_connection *connection, enum router_step step, uint64_t now) {
  if (router_pending_advance(&connection->thread->router->pending, &connection->place, step, now)) return true;
  router_connection_close(connection, "", now);
  return false;
}

static void handshake(struct router_connection *connection, uint64_t now) {
  struct router_thread *thread = connection->thread;
  if (!begin(connection)) return;
  ERR_clear_error();
  int result = SSL_do_handshake(connection->ssl);
  int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, result);
  connection->wants_write = error == SSL_ERROR_WANT_WRITE;
  if (connection->state == ROUTER_SILENT && has_hello(connection->ssl)) {
    enter_list(connection, ROUTER_HANDSHAKING, &thread->handshaking, thread->router->settings.handshake_ms, now);
    if (!advance(connection, ROUTER_STEP_HANDSHAKE, now)) return;
  }
  bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  bool spent = result != 1 && dp_pipe_is_spent(dp_pipe_of(connection->ssl));
  if (waits && !spent) return;
  // What is no TLS is charged, too.
  if (result != 1) end(connection, "", connection->state == ROUTER_HANDSHAKING || error == SSL_ERROR_SSL || spent, now);
  else if (advance(connection, ROUTER_STEP_ADMISSION, now)) report_arrival(connection, now);
}

static bool on_packet(void *owner, struct dp_frame *frame) {
  struct router_connection *connection = owner;
  router_forward_from_device(connection, frame, connection->thread->now);
  return !connection->broken;
}

static void on_end(void *owner) {
  struct router_connection *connection = owner;
  connection->thread->now = dp_now();
  dp_set(&connection->peer->counters.heard, connection->thread->now);
  router_forward_flush(connection, connection->thread->now);
}

static void fail(struct router_connection *connection, uint64_t now) {
  char why[ROUTER_REASON];
  snprintf(why, sizeof why, "connection failed (%s)", connection->link.reason);
  router_connection_close(connection, why, now);
}

static void receive(struct router_connection *connection, uint64_t now) {
  struct router_thread *thread = connection->thread;
  struct dp_sink sink = {connection, on_packet, on_end};
  char why[ROUTER_REASON];
  thread->receiving = connection;
  router_forward_begin(thread);
  enum dp_status status = dp_link_receive(&connection->link, &sink, now);
  thread->receiving = NULL;
  if (connection->broken) {
    fail(connection, now);
    return;
  }
  switch (status) {
    case DP_AGAIN: read_again(connection); return;
    case DP_CLOSED: router_connection_disconnect(connection, NULL, "closed by the device", now); return;
    case DP_OVERSIZED:
      snprintf(why, sizeof why, "tunnel.oversized-frame: a frame's length: expected at most %d bytes, got %s",
               WIRE_MAX_PACKET, connection->link.reason);
      router_connection_disconnect(connection, NULL, why, now);
      return;
    case DP_BROKEN: fail(connection, now); return;
    default: return;
  }
}

// Sends what is queued. False if the connection is over, or will be when the batch at hand has been read.
static bool flush(struct router_connection *connection, uint64_t now) {
  uint64_t before = dp_link_taken(&connection->link);
  enum dp_status status = dp_link_flush(&connection->link, now);
  if (status == DP_DONE) {
    connection->stalled_since = 0;
  } else if (status == DP_BLOCKED) {
    bool progress = dp_link_taken(&connection->link) != before;
    if (progress || connection->stalled_since == 0) connection->stalled_since = now;
  } else if (connection->thread->receiving == connection) {
    connection->broken = true;
    return false;
  } else {
    fail(connection, now);
    return false;
  }
  return true;
}

void router_mark_dirty(struct router_connection *connection) {
  if (connection->dirty) return;
  connection->dirty = true;
  connection->next_dirty = connection->thread->dirty;
  connection->thread->dirty = connection;
  connection->thread->dirty_count++;
}

// Moves the connection whose frames are in the workspace to the front: they need not be copied out for another one.
static void put_writer_first(struct router_thread *thread) {
  for (struct router_connection **at = &thread->dirty; *at != NULL; at = &(*at)->next_dirty) {
    struct router_connection *connection = *at;
    if (&connection->link != thread->workspace.writer) continue;
    *at = connection->next_dirty;
    connection->next_dirty = thread->dirty;
    thread->dirty = connection;
    return;
  }
}

void router_flush_dirty(struct router_thread *thread, uint64_t now) {
  put_writer_first(thread);
  while (thread->dirty != NULL) {
    struct router_connection *connection = thread->dirty;
    thread->dirty = connection->next_dirty;
    thread->dirty_count--;
    connection->dirty = false;
    if (connection->state != ROUTER_ADMITTED || connection->link.blocked || connection->broken) continue;
    if (flush(connection, now) && connection->state == ROUTER_ADMITTED) choose_events(connection);
  }
}

bool router_connection_stalls(const struct router_connection *connection, uint64_t now) {
  uint64_t limit = (uint64_t)connection->thread->router->settings.stall_ms * DP_MILLISECOND;
  return connection->stalled_since != 0 && now - connection->stalled_since >= limit;
}

void router_connection_admit(struct router_connection *connection, uint32_t network, uint32_t group, uint64_t now) {
  struct router_thread *thread = connection->thread;
  if (connection->state != ROUTER_WAITING) return;
  struct router_tenant *tenant = router_tenant(thread, network);
  if (tenant == NULL) {
    router_connection_close(connection, "out of memory", now);
    return;
  }
  router_pending_leave(&thread->router->pending, &connection->place, false, now);
  connection->tenant = tenant;
  connection->link.group = &tenant->queues;
  router_asker_join(&tenant->askers, &connection->asker, connection->peer);
  router_flows_join(&tenant->flows, &connection->flows);
  connection->since = tenant->generation;
  connection->state = ROUTER_ADMITTED;
  connection->network = network;
  connection->group = group;
  memcpy(connection->own.own, connection->peer->address, sizeof connection->own.own);
  router_list_remove(connection);
  router_list_add(&thread->sessions, connection);
  router_request_report(connection);
  choose_events(connection);
  // OpenSSL may have read frames together with the handshake, which epoll does not report.
  read_again(connection);
}

// The kernel knows of acknowledgements, those of its own keep-alive among them, that no packet came with.
void router_connection_listen(struct router_connection *connection, uint64_t now) {
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  _Atomic uint64_t *heard = &connection->peer->counters.heard;
  if (now - dp_value(heard) < QUIET || getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return;
  uint32_t ago_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv : info.tcpi_last_data_recv;
  uint64_t then = now - (uint64_t)ago_ms * DP_MILLISECOND;
  if (then > dp_value(heard)) dp_set(heard, then);
}

// Discards what has come, which the kernel need not copy for that. False once the peer has closed, too.
static bool discard(struct router_connection *connection) {
  ssize_t got = recv(connection->fd, NULL, DISCARDED, MSG_TRUNC);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

// Sends the last frames, then close_notify and FIN, as far as the socket takes them now. False if that has failed.
static bool send_close_notify(struct router_connection *connection, uint64_t now) {
  enum dp_status status = dp_link_flush(&connection->link, now);
  if (status == DP_DONE && (SSL_get_shutdown(connection->ssl) & SSL_SENT_SHUTDOWN) == 0) {
    ERR_clear_error();
    int result = SSL_shutdown(connection->ssl);
    if (result < 0) return SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_WRITE;
    status = dp_link_flush(&connection->link, now);
  }
  // What would have to be read first is discarded.
  if (status == DP_BLOCKED) return !connection->link.read_first;
  if (status != DP_DONE) return false;
  connection->state = ROUTER_DRAINING;
  return shutdown(connection->fd, SHUT_WR) == 0;
}

static void linger(struct router_connection *connection, uint64_t now) {
  // Reads and discards what still comes: a TCP socket that is closed with unread data sends a reset.
  bool open = connection->state == ROUTER_DRAINING || send_close_notify(connection, now);
  if (open && discard(connection)) choose_events(connection);
  else router_connection_close(connection, "", now);
}

void router_connection_disconnect(struct router_connection *connection, const struct router_command *command, const char *why, uint64_t now) {
  struct router_thread *thread = connection->thread;
  bool understands = connection->link.wire != DP_WIRE_PLAIN;
  if (connection->state == ROUTER_CLOSING || connection->state == ROUTER_DRAINING || connection->peer == NULL) return;
  bool stranger = connection->state == ROUTER_WAITING;
  bool refused = command != NULL && command->verdict_length > 0 && !command->excused;
  if (stranger) router_pending_leave(&thread->router->pending, &connection->place, refused, now);
  if (command != NULL && command->reset && !understands) {
    struct linger none = {.l_onoff = 1};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    router_connection_close(connection, why, now);
    return;
  }
  // The session ends here; the socket stays open for a while.
  leave_lists(connection);
  report_end(connection, why);
  dp_link_drop(&connection->link);
  if (command != NULL && understands && command->verdict_length > 0)
    dp_link_urgent(&connection->link, command->verdict, command->verdict_length);
  enter_list(connection, ROUTER_CLOSING, &thread->lingering, thread->router->settings.linger_ms, now);
  if (stranger && !router_pending_linger(&connection->thread->router->pending, &connection->place, now)) router_connection_close(connection, "", now);
  else linger(connection, now);
}

void router_connection_serve(struct router_connection *connection, uint32_t events, uint64_t now) {
  switch (connection->state) {
    case ROUTER_SILENT:
    case ROUTER_HANDSHAKING: handshake(connection, now); break;
    case ROUTER_WAITING:
      if (events & (EPOLLERR | EPOLLHUP)) router_connection_close(connection, "connection lost", now);
      return;
    case ROUTER_ADMITTED: {
      bool writable = (events & EPOLLOUT) != 0;
      bool readable = (events & ~(uint32_t)EPOLLOUT) != 0 || events == 0 || (connection->link.read_blocked && writable);
      if (writable && !flush(connection, now)) return;
      if (readable && !connection->readable) receive(connection, now);
      bool may_send = connection->fd >= 0 && connection->state == ROUTER_ADMITTED && connection->link.read_first;
      if (may_send && !flush(connection, now)) return;
      break;
    }
    case ROUTER_CLOSING:
    case ROUTER_DRAINING: linger(connection, now); return;
  }
  if (connection->fd >= 0) choose_events(connection);
}
