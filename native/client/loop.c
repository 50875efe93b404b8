#include "loop.h"
#include "connection.h"
#include "successor.h"
#include "packet/clock.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  BURST_PACKETS = 256,  // read from the TUN into one batch
  QUEUE_PACKETS = 64,   // moved from the TUN to the queue before the socket is tried again
  QUEUED_BYTES = 4 * DP_FQ_LIMIT,  // of the workspace: its one queue has a smaller limit of its own
  BATCHES = 8,          // batches sent before the loop receives again
};

static int watch(struct dp_client *client, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

int dp_client_init(struct dp_client *client) {
  client->tun.counters = client->counters;
  client->egress = (struct dp_egress){&client->tun, &client->rules.filter, client->counters, client->local, client->owner};
  dp_ingress_init(&client->ingress, &client->tun, &client->rules.filter);
  client->connection.fd = client->successor.fd = -1;
  client->spare = malloc(DP_EGRESS_ROOM);
  client->epoll = epoll_create1(EPOLL_CLOEXEC);
  int error = client->epoll < 0 ? errno : 0;
  if (!dp_workspace_init(&client->workspace, QUEUED_BYTES) || client->spare == NULL) error = ENOMEM;
  if (error == 0) error = watch(client, client->wake);
  if (error == 0) error = watch(client, client->tun.fd);
  if (error != 0) dp_client_free(client);
  return error;
}

void dp_client_free(struct dp_client *client) {
  dp_client_disconnect(client);
  dp_tls_client_close(&client->tls);
  dp_connect_options_free(client->identity);
  dp_workspace_free(&client->workspace);
  free(client->spare);
  if (client->epoll >= 0) close(client->epoll);
  client->identity = NULL;
  client->spare = NULL;
  client->epoll = -1;
}

static void lose_tun(struct dp_client *client, int error) {
  struct dp_event event = {.kind = DP_EVENT_TUN_LOST};
  snprintf(event.text, sizeof event.text, "%s", strerrorname_np(error) ?: "?");
  epoll_ctl(client->epoll, EPOLL_CTL_DEL, client->tun.fd, NULL);
  client->tun_lost = true;
  dp_client_disconnect(client);
  client->report(client->owner, &event);
}

// Without a connection, packets of the host are dropped, except those for the LAN server: kept in the TUN they would be sent too late.
static void discard_packets(struct dp_client *client) {
  struct dp_virtio virtio;
  for (int i = 0; i < BURST_PACKETS; i++) {
    ssize_t got = dp_tun_read(&client->tun, &virtio, client->spare, DP_EGRESS_ROOM);
    if (got < 0) lose_tun(client, (int)-got);
    if (got <= 0) return;
    if (!dp_egress_local(&client->egress, &virtio, client->spare, (uint32_t)got)) dp_add(&client->counters->out_offline, 1);
  }
}

// Moves packets from the TUN to the queue. False if the TUN has no more.
static bool queue_packets(struct dp_client *client, uint64_t now) {
  struct dp_link *link = &client->connection.link;
  for (int i = 0; i < QUEUE_PACKETS; i++) {
    size_t size = 0;
    uint32_t hash = 0;
    int got = dp_egress_read(&client->egress, link->wire, client->spare, &size, &hash);
    if (got < 0) lose_tun(client, -got);
    if (got <= 0) return false;
    if (size > 0) dp_link_queue(link, client->spare, (uint32_t)size, hash, now);
  }
  return true;
}

// Reads at most `most` packets into the buffer they are sent from; adds their number to `*packets`. Returns the bytes.
static size_t fill_room(struct dp_client *client, uint8_t *room, size_t wanted, int most, int *packets) {
  size_t length = 0;
  for (int i = 0; i < most && length < wanted && DP_OUT_BYTES - length >= DP_EGRESS_ROOM; i++) {
    size_t size = 0;
    uint32_t hash;
    int got = dp_egress_read(&client->egress, client->connection.link.wire, room + length, &size, &hash);
    if (got < 0) lose_tun(client, -got);
    if (got <= 0) break;
    length += size;
    ++*packets;
  }
  return length;
}

// Sends packets of the TUN. While the socket is full they go into the queue, which is fair between flows.
static void send_packets(struct dp_client *client, bool readable, uint64_t now) {
  struct dp_link *link = &client->connection.link;
  int packets = 0;
  // Where packets come one by one, the first is sent before the TUN is read again, and the TUN is not read again at all if it had nothing
  // in the iteration before: epoll reports further packets at once.
  bool first = client->lone, only = first && client->tun_iteration + 1 < client->iteration;
  if (readable) client->tun_iteration = client->iteration;
  if (readable && (link->blocked || dp_link_waiting(link))) readable = queue_packets(client, now);
  for (int batch = 0; batch < BATCHES && client->connected && !link->blocked; batch++) {
    size_t wanted = 0;
    if (dp_connection_is_over(client, dp_link_flush(link, now))) return;
    uint8_t *room = dp_link_room(link, &wanted);
    if (room == NULL || !readable || (only && packets > 0)) break;
    size_t length = fill_room(client, room, wanted, first && batch == 0 ? 1 : BURST_PACKETS, &packets);
    if (length == 0) break;
    dp_link_commit(link, length);
  }
  if (readable) client->lone = packets <= 1;
}

// Asks epoll only for the events that the connection waits for.
static void choose_events(struct dp_client *client) {
  struct dp_connection *connection = &client->connection;
  if (!client->connected) return;
  const struct dp_link *link = &connection->link;
  bool writing = connection->established ? dp_link_wants_write(link) : connection->wants_write;
  uint32_t events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (events == client->socket_events) return;
  struct epoll_event event = {.events = events, .data.fd = connection->fd};
  epoll_ctl(client->epoll, EPOLL_CTL_MOD, connection->fd, &event);
  client->socket_events = events;
}

static int milliseconds_until(uint64_t deadline, uint64_t now) {
  if (deadline == UINT64_MAX) return -1;
  if (deadline <= now) return 0;
  uint64_t left = (deadline - now + DP_MILLISECOND - 1) / DP_MILLISECOND;
  return left > 3600000 ? 3600000 : (int)left;
}

struct ready {
  bool wake, tun;
  uint32_t socket, successor;
};

static struct ready wait_for(struct dp_client *client) {
  struct epoll_event events[4];
  struct ready ready = {0};
  uint64_t deadline = dp_connection_deadline(client), other = dp_successor_deadline(client);
  bool again = (client->connected && client->read_again) || client->successor.again;
  int timeout = again ? 0 : milliseconds_until(other < deadline ? other : deadline, dp_now());
  int count = epoll_wait(client->epoll, events, 4, timeout);
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == client->wake) ready.wake = true;
    else if (events[i].data.fd == client->tun.fd) ready.tun = true;
    else if (events[i].data.fd == client->successor.fd) ready.successor = events[i].events;
    else ready.socket = events[i].events;
  }
  return ready;
}

// Handles events of the socket. The connection may be over afterwards.
static void serve_socket(struct dp_client *client, uint32_t events, uint64_t now) {
  struct dp_connection *connection = &client->connection;
  if (client->connected && !connection->established && (events != 0 || client->read_again)) dp_connection_handshake(client, now);
  if (!client->connected || !connection->established) return;
  // Any event may mean that the socket takes data again.
  if (events != 0) connection->link.blocked = false;
  bool readable = (events & ~(uint32_t)EPOLLOUT) != 0 || (connection->link.read_blocked && events != 0);
  if (client->read_again || readable) dp_connection_receive(client, now);
}

static void serve_successor(struct dp_client *client, uint32_t events, uint64_t now) {
  struct dp_successor done;
  if (client->successor.ssl != NULL && (events != 0 || client->successor.again) && dp_successor_handshake(client, &done))
    dp_connection_replace(client, &done, now);
  dp_successor_check_time(client, now);
}

static void serve_tun(struct dp_client *client, bool readable, uint64_t now) {
  if (!client->connected || !client->connection.established) {
    if (readable) discard_packets(client);
  } else if (readable || dp_link_waiting(&client->connection.link)) {
    send_packets(client, readable, now);
  }
}

void dp_client_run(struct dp_client *client) {
  for (;;) {
    struct ready ready = wait_for(client);
    uint64_t now = dp_now();
    client->iteration++;
    if (ready.wake) {
      uint64_t count;
      (void)!read(client->wake, &count, sizeof count);
      if (!client->commands(client->owner, client)) return;
      ready.socket = ready.successor = 0;  // they may be the former connection's events
    }
    serve_socket(client, ready.socket, now);
    dp_connection_check_time(client, now);
    serve_successor(client, ready.successor, now);
    serve_tun(client, ready.tun && !client->tun_lost, now);
    choose_events(client);
    dp_successor_choose_events(client);
  }
}
