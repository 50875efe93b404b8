// One thread's loop.
#include "router.h"
#include "dataplane/schedule.h"
#include "packet/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  EVENTS = 512,
  ACCEPTED = 16,               // in one iteration, before packets are forwarded again
  SWEEPS = 8,                  // per stall_ms
  ACCEPT_PAUSE_MS = 100,       // when descriptors have run out
  QUEUED_BYTES = 64 << 20,     // for all peers of the thread together
};

// epoll's data is a connection, or the address of the thread's member that holds the descriptor.
static int watch(struct router_thread *thread, int *fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
  return epoll_ctl(thread->epoll, EPOLL_CTL_ADD, *fd, &event) < 0 ? errno : 0;
}

void router_unwatch(struct router_thread *thread, int fd) { epoll_ctl(thread->epoll, EPOLL_CTL_DEL, fd, NULL); }

static void prepare_host(struct router_thread *thread, const struct router_settings *settings) {
  thread->has_tun = settings->tun >= 0;
  thread->anything = (struct dp_filter){.any = true};
  thread->queue = thread->has_tun && thread->index > 0 ? dp_tun_queue(settings->tun) : -1;
  thread->tun = (struct dp_tun){.fd = thread->queue >= 0 ? thread->queue : settings->tun, .offload = settings->offload, .counters = &thread->counters};
  thread->egress = (struct dp_egress){.tun = &thread->tun, .filter = &thread->anything, .counters = &thread->counters};
  dp_ingress_init(&thread->ingress, &thread->tun, &thread->anything);
}

int router_thread_init(struct router_thread *thread, struct router *router, uint32_t index, int listener) {
  thread->router = router;
  thread->index = index;
  thread->listener = listener;
  thread->last_readable = &thread->readable;
  router_mailbox_init(&thread->mailbox);
  SSL_CTX_up_ref(router->tls);
  thread->tls = router->tls;
  prepare_host(thread, &router->settings);
  bool memory = dp_workspace_init(&thread->workspace, QUEUED_BYTES);
  memory &= router_addresstable_init(&thread->routes) && router_addresstable_init(&thread->delegations);
  memory &= router_lookups_init(&thread->lookups, router->threads);
  memory &= router_flows_init(&thread->flows, ROUTER_FLOWS, ROUTER_FLOWS_OF_DEVICE);
  memory &= (thread->spare = malloc(DP_EGRESS_ROOM)) != NULL;
  for (uint32_t i = 0; i < router->threads; i++) memory &= router_ring_init(&thread->rings[i]);
  thread->wake = thread->evicted.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (!memory) return ENOMEM;
  if (thread->wake < 0 || thread->epoll < 0) return errno;
  int error = watch(thread, &thread->wake);
  if (error == 0) error = watch(thread, &thread->listener);
  if (error == 0 && thread->has_tun && (index == 0 || thread->queue >= 0)) error = watch(thread, &thread->tun.fd);
  return error;
}

static void free_closed(struct router_thread *thread) {
  while (thread->closed != NULL) {
    struct router_connection *connection = thread->closed;
    thread->closed = connection->next_closed;
    free(connection);
  }
}

void router_close_queue(struct router_thread *thread) {
  if (thread->queue >= 0) close(thread->queue);
  thread->queue = -1;
}

static void free_routes(struct router_addresstable *table) {
  for (struct router_addresstable_entry *entry; table->buckets != NULL && (entry = router_addresstable_take(table)) != NULL;) {
    struct router_route *route = (struct router_route *)(void *)entry;
    router_peer_release(route->peer);
    free(route);
  }
  router_addresstable_free(table);
}

void router_thread_free(struct router_thread *thread) {
  if (thread->router == NULL) return;
  free_routes(&thread->delegations);
  free_routes(&thread->routes);
  router_networks_release(thread->networks);
  router_lookups_free(&thread->lookups);
  router_flows_free(&thread->flows);
  router_tenants_free(thread);
  router_mailbox_free(&thread->mailbox);
  SSL_CTX_free(thread->tls);
  dp_workspace_free(&thread->workspace);
  for (uint32_t i = 0; i < thread->router->threads; i++) router_ring_free(&thread->rings[i]);
  free(thread->spare);
  router_close_queue(thread);
  if (thread->listener >= 0) close(thread->listener);
  if (thread->wake >= 0) close(thread->wake);
  if (thread->epoll >= 0) close(thread->epoll);
}

static void accept_some(struct router_thread *thread, uint64_t now) {
  for (int i = 0; i < ACCEPTED; i++) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    int fd = accept4(thread->listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      router_accept(thread, fd, &from, now);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // epoll would report the waiting connection again and again.
      router_unwatch(thread, thread->listener);
      thread->accept_at = now + (uint64_t)ACCEPT_PAUSE_MS * DP_MILLISECOND;
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

static void close_all(struct router_list *list, const char *why, uint64_t now) {
  while (list->first != NULL) router_connection_close(list->first, why, now);
}

static void shut_down(struct router_thread *thread, bool hard, uint64_t now) {
  static const char *const why = "the router stops";
  if (thread->listener >= 0) close(thread->listener);
  thread->listener = -1;
  thread->accept_at = 0;
  thread->shutting_down = true;
  close_all(&thread->silent, why, now);
  close_all(&thread->handshaking, why, now);
  while (!hard && thread->waiting.first != NULL) router_connection_disconnect(thread->waiting.first, NULL, why, now);
  while (!hard && thread->sessions.first != NULL) router_connection_disconnect(thread->sessions.first, NULL, why, now);
  if (!hard) return;
  close_all(&thread->waiting, why, now);
  close_all(&thread->sessions, why, now);
  close_all(&thread->lingering, why, now);
}

static void report_barrier(struct router_thread *thread, uint32_t number) {
  struct router_event *event = calloc(1, sizeof *event);
  if (event == NULL) return;
  event->kind = ROUTER_REACHED;
  event->thread = thread->index;
  event->number = number;
  router_report(thread, event);
}

static void know_networks(struct router_thread *thread, struct router_networks *networks) {
  router_networks_release(thread->networks);
  thread->networks = router_networks_keep(networks);
  // The /64s of a pool are given anew.
  router_lookups_forget_holders(&thread->lookups);
}

// Connections that have begun keep the certificate that they began with.
static void take_identity(struct router_thread *thread, struct router_command *command) {
  SSL_CTX *former = thread->tls;
  thread->tls = command->tls;
  command->tls = NULL;
  SSL_CTX_free(former);
}

uint32_t router_network_of(const struct router_thread *thread, const uint8_t address[16]) {
  return thread->networks == NULL ? 0 : router_networks_find(thread->networks, address);
}

static void apply_command(struct router_thread *thread, struct router_command *command, uint64_t now) {
  struct router_connection *connection = command->peer == NULL ? NULL : router_peer_connection(command->peer, thread);
  switch (command->kind) {
    case ROUTER_ADMIT:
      if (connection == NULL) break;
      router_connection_admit(connection, command->network, command->group, now);
      // Another thread may have the route before this one gets its ROUTER_ROUTE, and hand over frames.
      router_add_route(thread, command, now);
      break;
    case ROUTER_DISCONNECT:
      if (connection != NULL) router_connection_disconnect(connection, command, "", now);
      break;
    case ROUTER_ROUTE: router_add_route(thread, command, now); break;
    case ROUTER_UNROUTE: router_remove_route(thread, command); break;
    case ROUTER_DELEGATE: router_delegate(thread, command); break;
    case ROUTER_ANSWER:
      router_host_answer(thread, command, now);
      thread->answers_taken++;
      break;
    case ROUTER_FORGET: router_host_forget(thread, command->address); break;
    // As with one: an answer that is still awaited will be newer.
    case ROUTER_FORGET_ALL: router_lookups_forget_answers(&thread->lookups); break;
    case ROUTER_BARRIER: report_barrier(thread, command->number); break;
    case ROUTER_NETWORKS: know_networks(thread, command->networks); break;
    case ROUTER_RULES: router_take_rules(thread, command->network, command->rules); break;
    case ROUTER_RATES: router_take_rates(thread, command->network, command->rates); break;
    case ROUTER_SEND:
      if (connection != NULL) router_send_message(connection, command->message, command->message_length, now);
      break;
    case ROUTER_IDENTITY: take_identity(thread, command); break;
    case ROUTER_SHUT_DOWN: shut_down(thread, command->hard, now); break;
  }
}

void router_take_commands(struct router_thread *thread, uint64_t now) {
  for (struct router_command *command = router_mailbox_take(&thread->mailbox), *next; command != NULL; command = next) {
    next = command->next;
    apply_command(thread, command, now);
    router_command_free(command);
  }
}

static uint64_t earlier(uint64_t one, uint64_t other) { return one < other ? one : other; }

static uint64_t next_deadline(const struct router_thread *thread) {
  const struct router_list *const lists[] = {&thread->silent, &thread->handshaking, &thread->waiting, &thread->lingering};
  uint64_t deadline = UINT64_MAX;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (lists[i]->first != NULL) deadline = earlier(deadline, lists[i]->first->deadline);
  if (thread->sessions.first != NULL) deadline = earlier(deadline, thread->sweep_at);
  if (thread->accept_at != 0) deadline = earlier(deadline, thread->accept_at);
  deadline = earlier(deadline, router_lookups_deadline(&thread->lookups));
  return deadline;
}

static void close_late(struct router_list *list, uint64_t now) {
  while (list->first != NULL && list->first->deadline <= now) router_connection_close(list->first, "", now);
}

// Disconnects peers that have taken no data for too long (TCP would go on resending for a quarter of an hour), and frees the queues of
// idle ones.
static void sweep(struct router_thread *thread, uint64_t now) {
  thread->sweep_at = now + (uint64_t)thread->router->settings.stall_ms * DP_MILLISECOND / SWEEPS;
  for (struct router_connection *connection = thread->sessions.first, *next; connection != NULL; connection = next) {
    next = connection->next;
    if (router_connection_stalls(connection, now)) {
      router_connection_close(connection, "the device takes no data", now);
      continue;
    }
    router_connection_listen(connection, now);
    dp_link_trim(&connection->link);
    router_flows_sweep(&thread->flows, &connection->flows, now);
  }
}

static void check_time(struct router_thread *thread, uint64_t now) {
  close_late(&thread->silent, now);
  close_late(&thread->handshaking, now);
  close_late(&thread->waiting, now);
  close_late(&thread->lingering, now);
  if (now >= thread->sweep_at) sweep(thread, now);
  router_host_ask(thread, now);
  if (thread->accept_at != 0 && now >= thread->accept_at) {
    thread->accept_at = 0;
    watch(thread, &thread->listener);
  }
}

static bool rings_hold_something(const struct router_thread *thread) {
  for (uint32_t i = 0; i < thread->router->threads; i++)
    if (!router_ring_empty(&thread->rings[i])) return true;
  return false;
}

static int wait_for(struct router_thread *thread, struct epoll_event *events) {
  uint64_t now = dp_now(), deadline = next_deadline(thread);
  int timeout = -1;
  if (deadline != UINT64_MAX) timeout = deadline <= now ? 0 : (int)earlier((deadline - now) / DP_MILLISECOND + 1, 3600000);
  // A thread that writes to a ring after this check sees that this one sleeps, and wakes it.
  atomic_store_explicit(&thread->sleeping, true, memory_order_seq_cst);
  atomic_thread_fence(memory_order_seq_cst);
  if (thread->readable != NULL || rings_hold_something(thread)) timeout = 0;
  int count = epoll_wait(thread->epoll, events, EVENTS, timeout);
  atomic_store_explicit(&thread->sleeping, false, memory_order_relaxed);
  return count;
}

// Serves those that had more than a turn's work, each for a further turn, and all together for no longer. Who has still more comes last.
static void serve_readable(struct router_thread *thread, uint64_t now) {
  struct router_connection *const *last = thread->last_readable;
  uint64_t until = now + DP_TURN_NS;
  for (bool more = true; more && thread->readable != NULL;) {
    struct router_connection *connection = thread->readable;
    more = &connection->next_readable != last;
    thread->readable = connection->next_readable;
    if (thread->readable == NULL) thread->last_readable = &thread->readable;
    connection->readable = false;
    if (connection->state == ROUTER_ADMITTED) router_connection_serve(connection, 0, thread->now);
    thread->now = dp_now();
    if (thread->now >= until) more = false;
  }
}

// Commands first: epoll may list a socket before the wake descriptor although its data came later, and of routes alone no thread is woken.
static void serve_commands(struct router_thread *thread, const struct epoll_event *events, int count) {
  uint64_t wakes;
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr != &thread->wake) continue;
    (void)!read(thread->wake, &wakes, sizeof wakes);
    // Before the commands are taken: of what comes behind them the thread is woken anew.
    atomic_exchange(&thread->woken, false);
  }
  router_take_commands(thread, thread->now);
}

// The connection that an event is of; NULL if it is of another descriptor, or the connection is closed by now.
static struct router_connection *connection_of(const struct router_thread *thread, const struct epoll_event *event) {
  const void *what = event->data.ptr;
  if (what == &thread->wake || what == &thread->listener || what == &thread->tun.fd) return NULL;
  struct router_connection *connection = event->data.ptr;
  return connection->fd < 0 ? NULL : connection;
}

static bool shakes_hands(const struct router_connection *connection) {
  return connection->state == ROUTER_SILENT || connection->state == ROUTER_HANDSHAKING;
}

static void serve(struct router_thread *thread, const struct epoll_event *event) {
  struct router_connection *connection = connection_of(thread, event);
  uint64_t now = thread->now = dp_now();
  if (event->data.ptr == &thread->listener) accept_some(thread, now);
  else if (event->data.ptr == &thread->tun.fd) router_forward_from_tun(thread, now);
  else if (connection != NULL && !shakes_hands(connection)) router_connection_serve(connection, event->events, now);
}

// Handshakes come behind the tunnels, and take a turn all together. epoll reports those that are left again, others first.
static void serve_handshakes(struct router_thread *thread, const struct epoll_event *events, int count) {
  if (thread->silent.first == NULL && thread->handshaking.first == NULL) return;
  uint64_t until = dp_now() + DP_TURN_NS;
  for (int i = 0; i < count && (thread->now = dp_now()) < until; i++) {
    struct router_connection *connection = connection_of(thread, &events[i]);
    if (connection == NULL || !shakes_hands(connection)) continue;
    router_connection_serve(connection, events[i].events, thread->now);
  }
}

static bool is_empty(const struct router_thread *thread) {
  return thread->silent.first == NULL && thread->handshaking.first == NULL && thread->waiting.first == NULL && thread->sessions.first == NULL &&
         thread->lingering.first == NULL;
}

static void close_evicted(struct router_thread *thread, uint64_t now) {
  struct router_place *place;
  while ((place = router_pending_evicted(&thread->router->pending, &thread->evicted)) != NULL)
    router_connection_close(router_connection_at(place), "", now);
}

void *router_thread_run(void *argument) {
  struct router_thread *thread = argument;
  struct epoll_event events[EVENTS];
  dp_schedule_short_slices();
  while (!thread->shutting_down || !is_empty(thread)) {
    int count = wait_for(thread, events);
    thread->now = dp_now();
    thread->iteration++;
    serve_commands(thread, events, count);
    serve_readable(thread, thread->now);
    for (int i = 0; i < count; i++) serve(thread, &events[i]);
    serve_handshakes(thread, events, count);
    router_forward_from_rings(thread, thread->now);
    check_time(thread, dp_now());
    close_evicted(thread, thread->now);
    free_closed(thread);
  }
  OPENSSL_thread_stop();
  router_close_queue(thread);
  router_thread_ends(thread->router);
  return NULL;
}
