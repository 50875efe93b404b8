#include "router.h"
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  BACKLOG = 4096,
  MOST_WAITING = 64,  // routes that a sleeping thread is not told of
};

static void set_port(struct sockaddr_storage *address, uint16_t port) {
  if (address->ss_family == AF_INET) ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
  else ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
}

static uint16_t port_of(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
  return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
}

// A listening socket, or a negative errno. `address` gets the port that was chosen.
static int listen_on(struct sockaddr_storage *address, bool shared) {
  int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
  socklen_t length = address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (fd < 0) return -errno;
  bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (shared) ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  if (address->ss_family == AF_INET6) ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
  ok = ok && bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, BACKLOG) == 0;
  length = sizeof *address;
  ok = ok && getsockname(fd, (struct sockaddr *)address, &length) == 0;
  if (ok) return fd;
  int error = errno;
  close(fd);
  return -error;
}

// One listening socket for each thread. With SO_REUSEPORT another program of the same user could listen on the port, too, unnoticed. So
// the port is first bound without it.
static int listen_all(struct router *router, const struct sockaddr_storage *wanted, int *listeners) {
  struct sockaddr_storage address = *wanted;
  bool shared = router->threads > 1;
  int first = listen_on(&address, false);
  if (first < 0) return -first;
  router->port = port_of(&address);
  if (!shared) {
    listeners[0] = first;
    return 0;
  }
  close(first);
  for (uint32_t i = 0; i < router->threads; i++) {
    set_port(&address, router->port);
    listeners[i] = listen_on(&address, true);
    if (listeners[i] < 0) return -listeners[i];
  }
  return 0;
}

// Signals are the main thread's.
static int start_threads(struct router *router, uint32_t *started) {
  sigset_t all, before;
  int error = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (*started = 0; *started < router->threads && error == 0;) {
    struct router_thread *thread = &router->thread[*started];
    char name[16];
    error = pthread_create(&thread->id, NULL, router_thread_run, thread);
    if (error != 0) break;
    snprintf(name, sizeof name, "enf-router-%u", thread->index);
    pthread_setname_np(thread->id, name);
    ++*started;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static void free_router(struct router *router) {
  for (uint32_t i = 0; i < router->threads; i++) router_thread_free(&router->thread[i]);
  SSL_CTX_free(router->tls);
  if (router->pending.ratelimit != NULL) router_pending_free(&router->pending);
  if (router->ratelimit.buckets != NULL) router_ratelimit_free(&router->ratelimit);
  free(router);
}

static int open_router(struct router *router, const struct sockaddr_storage *address, const char *certificate, const char *key,
                       const char **doing, char *reason) {
  int listeners[ROUTER_MOST_THREADS];
  memset(listeners, -1, sizeof listeners);
  *doing = "reading the certificate and key";
  router->tls = router_tls_open(certificate, key, reason);
  if (router->tls == NULL) return EKEYREJECTED;
  *doing = "preparing";
  if (!router_ratelimit_init(&router->ratelimit, &router->settings.ratelimit) ||
      !router_pending_init(&router->pending, &router->ratelimit))
    return ENOMEM;
  *doing = "listening";
  int error = listen_all(router, address, listeners);
  if (error == 0) *doing = "preparing the threads";
  for (uint32_t i = 0; i < router->threads && error == 0; i++) {
    error = router_thread_init(&router->thread[i], router, i, listeners[i]);
    listeners[i] = -1;
  }
  for (uint32_t i = 0; i < router->threads; i++)
    if (listeners[i] >= 0) close(listeners[i]);
  return error;
}

int router_start(const struct router_settings *settings, const struct sockaddr_storage *address, const char *certificate,
                 const char *key, struct router_listener listener, struct router **out, const char **doing, char *reason) {
  size_t size = sizeof(struct router) + settings->threads * sizeof(struct router_thread);
  struct router *router = aligned_alloc(64, (size + 63) / 64 * 64);
  uint32_t started;
  *doing = "preparing";
  if (router == NULL) return ENOMEM;
  memset(router, 0, size);
  router->settings = *settings;
  router->listener = listener;
  router->threads = settings->threads;
  atomic_init(&router->running, settings->threads);
  for (uint32_t i = 0; i < router->threads; i++)
    router->thread[i].epoll = router->thread[i].wake = router->thread[i].listener = router->thread[i].queue = -1;
  int error = open_router(router, address, certificate, key, doing, reason);
  if (error != 0) {
    free_router(router);
    return error;
  }
  *doing = "starting the threads";
  *out = router;
  error = start_threads(router, &started);
  if (error == 0) return 0;
  struct router_command stop = {.kind = ROUTER_SHUT_DOWN, .hard = true};
  router_broadcast_command(router, &stop);
  for (uint32_t i = 0; i < started; i++) pthread_join(router->thread[i].id, NULL);
  free_router(router);
  return error;
}

void router_thread_ends(struct router *router) {
  struct router_listener listener = router->listener;
  if (atomic_fetch_sub(&router->running, 1) == 1) {
    struct router_event *event = calloc(1, sizeof *event);
    if (router->settings.tun >= 0) close(router->settings.tun);
    if (event != NULL) {
      event->kind = ROUTER_STOPPED;
      listener.report(listener.owner, event);
    }
  }
  listener.ended(listener.owner);
}

// Writing wakes the thread at once, on this processor perhaps in place of the caller: once is enough until it has looked.
void router_wake(struct router_thread *thread) {
  uint64_t one = 1;
  if (!atomic_exchange(&thread->woken, true)) (void)!write(thread->wake, &one, sizeof one);
}

void router_report(struct router_thread *thread, struct router_event *event) {
  thread->router->listener.report(thread->router->listener.owner, event);
}

void router_send_command(struct router *router, uint32_t index, struct router_command *command) {
  struct router_thread *thread = command->peer != NULL ? command->peer->thread : &router->thread[index];
  router_mailbox_put(&thread->mailbox, command);
  router_wake(thread);
}

static bool needs_route(struct router_thread *thread, uint32_t waiting) { return waiting >= MOST_WAITING || thread->lookups.count > 0; }

static bool broadcast(struct router *router, const struct router_command *command, bool is_route) {
  for (uint32_t i = 0; i < router->threads; i++) {
    struct router_thread *thread = &router->thread[i];
    struct router_command *copy = malloc(sizeof *copy);
    if (copy == NULL) return false;
    *copy = *command;
    if (copy->peer != NULL) router_peer_keep(copy->peer);
    router_networks_keep(copy->networks);
    router_rules_keep(copy->rules);
    router_rates_keep(copy->rates);
    if (copy->tls != NULL) SSL_CTX_up_ref(copy->tls);
    uint32_t waiting = router_mailbox_put(&thread->mailbox, copy);
    if (!is_route || needs_route(thread, waiting)) router_wake(thread);
  }
  return true;
}

bool router_broadcast_command(struct router *router, const struct router_command *command) { return broadcast(router, command, false); }

bool router_broadcast_route(struct router *router, const struct router_command *command) { return broadcast(router, command, true); }

// Whether the thread may have an answer, or get one that was given before: what it asks from now on is answered with what is true now.
static bool may_know(struct router_thread *thread) {
  return thread->answers_taken != thread->answers_given || thread->lookups.count > 0;
}

static bool have_forgotten(struct router *router, const struct router_command *what) {
  for (uint32_t i = 0; i < router->threads; i++) {
    if (!may_know(&router->thread[i])) continue;
    struct router_command *command = malloc(sizeof *command);
    if (command == NULL) return false;
    *command = *what;
    router_send_command(router, i, command);
  }
  return true;
}

bool router_forget(struct router *router, const uint8_t address[16]) {
  struct router_command command = {.kind = ROUTER_FORGET};
  memcpy(command.address, address, sizeof command.address);
  return have_forgotten(router, &command);
}

bool router_forget_all(struct router *router) {
  const struct router_command command = {.kind = ROUTER_FORGET_ALL};
  return have_forgotten(router, &command);
}

void router_join(struct router *router) {
  for (uint32_t i = 0; i < router->threads; i++) pthread_join(router->thread[i].id, NULL);
  free_router(router);
}
