// The TCP connections of the load generator, thousands of them, in a process beside it: what node:net costs for each would be
// most of what the load generator has to do. It knows nothing of what is said.
//   callers PORT    reads orders from stdin, writes what it hears to stdout, until stdin ends
// An order is {id, address, length, kind} and `length` bytes: OPEN a connection from that IPv4 address of this machine to
// 127.0.0.1:PORT and say them, SAY them, or CLOSE. What is heard is {id, length, at} and the bytes, `at` in nanoseconds of
// the monotonic clock; a length of 0 says that the connection is over. Numbers are in the byte order of the machine.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PLACES = 1 << 16, EVENTS = 256, LARGEST = 1024, INPUT = 1 << 18, OUTPUT = 1 << 18 };
enum kind { OPEN = 1, SAY = 2, CLOSE = 3 };
static const uint64_t ORDERS = UINT64_MAX;

struct order {
  uint32_t id, address;
  uint16_t length, kind;
};

struct heard {
  uint32_t id, length;
  uint64_t at;
};

// What could not be said at once waits in `unsaid` until the connection is there.
struct caller {
  uint32_t id;
  int fd;
  uint16_t waiting;
  uint8_t *unsaid;
};

static struct caller callers[PLACES];
static uint8_t input[INPUT], output[OUTPUT];
static size_t have, pending;
static int epoll;
static struct sockaddr_in server = {.sin_family = AF_INET};

static __attribute__((noreturn)) void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void flush(void) {
  for (size_t done = 0; done < pending;) {
    ssize_t wrote = write(STDOUT_FILENO, output + done, pending - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) die("stdout");
    done += (size_t)wrote;
  }
  pending = 0;
}

// Room for what is heard from one caller; the bytes go behind the header.
static struct heard *note(uint32_t id) {
  if (OUTPUT - pending < sizeof(struct heard) + LARGEST) flush();
  struct heard *heard = (struct heard *)(output + pending);
  *heard = (struct heard){.id = id, .at = now()};
  return heard;
}

static void sent_on(const struct heard *heard) { pending += sizeof *heard + ((heard->length + 7u) & ~7u); }

static void leave(struct caller *caller) {
  close(caller->fd);
  free(caller->unsaid);
  *caller = (struct caller){.fd = -1};
}

static void over(struct caller *caller) {
  sent_on(note(caller->id));
  leave(caller);
}

static void watch(struct caller *caller, int how, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(caller - callers)};
  if (epoll_ctl(epoll, how, caller->fd, &event) != 0) die("epoll");
}

// A message fits the send buffer of a connection that exists; until it does, the message waits.
static void say(struct caller *caller, const uint8_t *bytes, size_t length) {
  if (length == 0) return;
  ssize_t sent = send(caller->fd, bytes, length, MSG_NOSIGNAL);
  if (sent == (ssize_t)length) return;
  if (sent >= 0 || (errno != EAGAIN && errno != ENOTCONN) || caller->unsaid != NULL) {
    over(caller);
    return;
  }
  caller->unsaid = malloc(length);
  if (caller->unsaid == NULL) die("memory");
  memcpy(caller->unsaid, bytes, length);
  caller->waiting = (uint16_t)length;
  watch(caller, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void say_the_rest(struct caller *caller) {
  uint8_t *bytes = caller->unsaid;
  caller->unsaid = NULL;
  watch(caller, EPOLL_CTL_MOD, EPOLLIN);
  say(caller, bytes, caller->waiting);
  free(bytes);
}

static void call(struct caller *caller, const struct order *order) {
  int on = 1;
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(order->address)};
  caller->id = order->id;
  caller->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (caller->fd < 0) die("socket");
  // The port is chosen when the destination is known: any number of connections of one address.
  setsockopt(caller->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(caller->fd, (struct sockaddr *)&own, sizeof own) != 0) die("bind");
  if (connect(caller->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
    over(caller);
    return;
  }
  watch(caller, EPOLL_CTL_ADD, EPOLLIN);
  say(caller, (const uint8_t *)(order + 1), order->length);
}

static void obey(const struct order *order) {
  struct caller *caller = &callers[order->id % PLACES];
  bool there = caller->fd >= 0 && caller->id == order->id;
  if (order->kind == OPEN) {
    if (caller->fd < 0) call(caller, order);
    else sent_on(note(order->id));  // so many at a time there are never
  } else if (there && order->kind == SAY) {
    say(caller, (const uint8_t *)(order + 1), order->length);
  } else if (there) {
    leave(caller);
  }
}

// False at the end of the orders.
static bool read_orders(void) {
  ssize_t got = read(STDIN_FILENO, input + have, sizeof input - have);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  have += (size_t)got;
  size_t done = 0;
  while (have - done >= sizeof(struct order)) {
    const struct order *order = (const struct order *)(input + done);
    size_t whole = sizeof *order + ((order->length + 3u) & ~3u);
    if (have - done < whole) break;
    obey(order);
    done += whole;
  }
  memmove(input, input + done, have - done);
  have -= done;
  return true;
}

static void hear(struct caller *caller) {
  struct heard *heard = note(caller->id);
  ssize_t got = recv(caller->fd, heard + 1, LARGEST, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    over(caller);
    return;
  }
  heard->length = (uint32_t)got;
  sent_on(heard);
}

int main(int count, char **argument) {
  struct epoll_event events[EVENTS], orders = {.events = EPOLLIN, .data.u64 = ORDERS};
  if (count != 2) {
    fprintf(stderr, "usage: callers PORT\n");
    return 2;
  }
  server.sin_port = htons((uint16_t)atoi(argument[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < PLACES; i++) callers[i].fd = -1;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &orders) != 0) die("epoll");
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u64 == ORDERS) {
        if (!read_orders()) return 0;
        continue;
      }
      struct caller *caller = &callers[events[i].data.u64];
      if (caller->fd >= 0 && caller->unsaid != NULL && events[i].events != EPOLLIN) say_the_rest(caller);
      if (caller->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) hear(caller);
    }
    flush();
  }
}
