#include "loop.h"
#include "connection.h"
#include "dataplane/clock.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  BURST_PACKETS = 256,  // read from the TUN into one batch
  QUEUE_PACKETS = 64,   // moved from the TUN to the queue before the socket is looked at again
  QUEUED_BYTES = 4 * DP_FQ_LIMIT,  // its one queue has its own limit
  TURNS = 8,            // batches before the receiving side gets its turn
};

static int watch(struct dp_agent *agent, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(agent->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

int dp_agent_init(struct dp_agent *agent) {
  agent->tun.counters = agent->counters;
  agent->egress = (struct dp_egress){&agent->tun, &agent->rules.filter, agent->counters, agent->local, agent->owner};
  dp_ingress_init(&agent->ingress, &agent->tun, &agent->rules.filter);
  agent->connection.fd = -1;
  agent->spare = malloc(DP_EGRESS_ROOM);
  agent->epoll = epoll_create1(EPOLL_CLOEXEC);
  int error = agent->epoll < 0 ? errno : 0;
  if (!dp_workspace_init(&agent->workspace, QUEUED_BYTES) || agent->spare == NULL) error = ENOMEM;
  if (error == 0) error = watch(agent, agent->wake);
  if (error == 0) error = watch(agent, agent->tun.fd);
  if (error != 0) dp_agent_free(agent);
  return error;
}

void dp_agent_free(struct dp_agent *agent) {
  dp_connection_close(agent, true);
  dp_tls_client_close(&agent->client);
  dp_order_free(agent->identity);
  dp_workspace_free(&agent->workspace);
  free(agent->spare);
  if (agent->epoll >= 0) close(agent->epoll);
  agent->identity = NULL;
  agent->spare = NULL;
  agent->epoll = -1;
}

static void lose_tun(struct dp_agent *agent, int error) {
  struct dp_event event = {.kind = DP_EVENT_TUN_LOST};
  snprintf(event.text, sizeof event.text, "%s", strerrorname_np(error) ?: "?");
  epoll_ctl(agent->epoll, EPOLL_CTL_DEL, agent->tun.fd, NULL);
  agent->tun_lost = true;
  dp_connection_close(agent, true);
  agent->report(agent->owner, &event);
}

// Without a connection, what the host sends goes nowhere, except to who serves the link; left in the TUN, it would be late when there is one.
static void discard_packets(struct dp_agent *agent) {
  struct dp_virtio virtio;
  for (int i = 0; i < BURST_PACKETS; i++) {
    ssize_t got = dp_tun_read(&agent->tun, &virtio, agent->spare, DP_EGRESS_ROOM);
    if (got < 0) lose_tun(agent, (int)-got);
    if (got <= 0) return;
    if (!dp_egress_local(&agent->egress, &virtio, agent->spare, (uint32_t)got)) dp_add(&agent->counters->out_offline, 1);
  }
}

// Moves packets from the TUN to the queue. False if the TUN has no more.
static bool queue_packets(struct dp_agent *agent, uint64_t now) {
  struct dp_link *link = &agent->connection.link;
  for (int i = 0; i < QUEUE_PACKETS; i++) {
    size_t size = 0;
    uint32_t hash = 0;
    int got = dp_egress_read(&agent->egress, link->wire, agent->spare, &size, &hash);
    if (got < 0) lose_tun(agent, -got);
    if (got <= 0) return false;
    if (size > 0) dp_link_queue(link, agent->spare, (uint32_t)size, hash, now);
  }
  return true;
}

// Reads at most so many packets to where they are sent from; adds their number to `*packets`. 0: there are none.
static size_t fill_room(struct dp_agent *agent, uint8_t *room, size_t wanted, int most, int *packets) {
  size_t length = 0;
  for (int i = 0; i < most && length < wanted && DP_OUT_BYTES - length >= DP_EGRESS_ROOM; i++) {
    size_t size = 0;
    uint32_t hash;
    int got = dp_egress_read(&agent->egress, agent->connection.link.wire, room + length, &size, &hash);
    if (got < 0) lose_tun(agent, -got);
    if (got <= 0) break;
    length += size;
    ++*packets;
  }
  return length;
}

// The sending direction. While the socket is full the TUN is read on, into the queue: there, flows are told apart.
static void send_packets(struct dp_agent *agent, bool readable, uint64_t now) {
  struct dp_link *link = &agent->connection.link;
  int packets = 0;
  // Where packets come one by one, the first leaves before there is a look for another; and there is none if the TUN had nothing in the
  // turn before: should there be more, the next turn comes at once.
  bool first = agent->lone, only = first && agent->tun_turn + 1 < agent->turn;
  if (readable) agent->tun_turn = agent->turn;
  if (readable && (link->blocked || dp_link_waiting(link))) readable = queue_packets(agent, now);
  for (int turn = 0; turn < TURNS && agent->connected && !link->blocked; turn++) {
    size_t wanted = 0;
    if (dp_connection_is_over(agent, dp_link_flush(link, now))) return;
    uint8_t *room = dp_link_room(link, &wanted);
    if (room == NULL || !readable || (only && packets > 0)) break;
    size_t length = fill_room(agent, room, wanted, first && turn == 0 ? 1 : BURST_PACKETS, &packets);
    if (length == 0) break;
    dp_link_commit(link, length);
  }
  if (readable) agent->lone = packets <= 1;
}

// Only what the connection waits for may wake the loop.
static void choose_events(struct dp_agent *agent) {
  struct dp_connection *connection = &agent->connection;
  if (!agent->connected) return;
  const struct dp_link *link = &connection->link;
  bool writing = connection->established ? link->blocked || link->read_blocked : connection->wants_write;
  uint32_t events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (events == agent->socket_events) return;
  struct epoll_event event = {.events = events, .data.fd = connection->fd};
  epoll_ctl(agent->epoll, EPOLL_CTL_MOD, connection->fd, &event);
  agent->socket_events = events;
}

static int milliseconds_until(uint64_t deadline, uint64_t now) {
  if (deadline == UINT64_MAX) return -1;
  if (deadline <= now) return 0;
  uint64_t left = (deadline - now + DP_MILLISECOND - 1) / DP_MILLISECOND;
  return left > 3600000 ? 3600000 : (int)left;
}

struct ready {
  bool wake, tun;
  uint32_t socket;
};

static struct ready wait_for(struct dp_agent *agent) {
  struct epoll_event events[4];
  struct ready ready = {0};
  int timeout = agent->connected && agent->read_again ? 0 : milliseconds_until(dp_connection_deadline(agent), dp_now());
  int count = epoll_wait(agent->epoll, events, 4, timeout);
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == agent->wake) ready.wake = true;
    else if (events[i].data.fd == agent->tun.fd) ready.tun = true;
    else ready.socket = events[i].events;
  }
  return ready;
}

// What the events mean for the connection; it may be over afterwards.
static void serve_socket(struct dp_agent *agent, uint32_t events, uint64_t now) {
  struct dp_connection *connection = &agent->connection;
  if (agent->connected && !connection->established && events != 0) dp_connection_handshake(agent, now);
  if (!agent->connected || !connection->established) return;
  // Whatever happened at the socket may have been what writing waits for.
  if (events != 0) connection->link.blocked = false;
  bool readable = (events & ~(uint32_t)EPOLLOUT) != 0 || (connection->link.read_blocked && events != 0);
  if (agent->read_again || readable) dp_connection_receive(agent, now);
}

static void serve_tun(struct dp_agent *agent, bool readable, uint64_t now) {
  if (!agent->connected || !agent->connection.established) {
    if (readable) discard_packets(agent);
  } else if (readable || dp_link_waiting(&agent->connection.link)) {
    send_packets(agent, readable, now);
  }
}

void dp_agent_run(struct dp_agent *agent) {
  for (;;) {
    struct ready ready = wait_for(agent);
    uint64_t now = dp_now();
    agent->turn++;
    if (ready.wake) {
      uint64_t count;
      (void)!read(agent->wake, &count, sizeof count);
      if (!agent->orders(agent->owner, agent)) return;
      ready.socket = 0;  // it may be that of the former connection
    }
    serve_socket(agent, ready.socket, now);
    dp_connection_check_time(agent, now);
    serve_tun(agent, ready.tun && !agent->tun_lost, now);
    choose_events(agent);
  }
}
