// What the programs of the tunnel benchmark share: a clock, addresses, TCP connections and the count of a bulk transfer.
#ifndef ENF_BENCH_COMMON_H
#define ENF_BENCH_COMMON_H
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// Seconds on a clock that never runs backwards.
static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline __attribute__((noreturn)) void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline __attribute__((noreturn)) void usage(const char *text) {
  fprintf(stderr, "usage: %s\n", text);
  exit(2);
}

// A socket connected to a literal address; UDP at once, TCP with patience for a receiver that is just starting.
static inline int connect_to(int type, const char *address, const char *port, const char *congestion) {
  struct addrinfo want = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST}, *found;
  if (getaddrinfo(address, port, &want, &found) != 0) die(address);
  double end = now() + 5;
  for (;;) {
    int fd = socket(found->ai_family, type, 0);
    if (fd < 0) die("socket");
    struct timeval patience = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (congestion != NULL && strcmp(congestion, "default") != 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)) != 0)
      die(congestion);
    if (connect(fd, found->ai_addr, found->ai_addrlen) == 0) {
      freeaddrinfo(found);
      return fd;
    }
    if (now() > end) die("connect");
    close(fd);
    usleep(20000);
  }
}

// A socket bound to the port on every address, IPv4 included.
static inline int bind_to(int type, const char *port) {
  int fd = socket(AF_INET6, type, 0), yes = 1;
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0) die("bind");
  return fd;
}

// The one TCP connection that comes to the port within ten seconds.
static inline int accept_one(const char *port) {
  int fd = bind_to(SOCK_STREAM, port);
  struct timeval patience = {10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (listen(fd, 1) != 0) die("listen");
  int peer = accept(fd, NULL, NULL);
  if (peer < 0) die("accept");
  close(fd);
  setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return peer;
}

// Bytes of a transfer: all, and those in the window that begins `skip` seconds after the first byte.
struct transfer {
  double start, skip, length, bytes, window_bytes;
};

// Counts what was just received; false once the window is over.
static inline int count(struct transfer *t, double bytes) {
  double at = now();
  if (t->start == 0) t->start = at;
  t->bytes += bytes;
  double since = at - t->start - t->skip;
  if (since < 0) return 1;
  if (since >= t->length) return 0;
  t->window_bytes += bytes;
  return 1;
}

static inline void print_transfer(const struct transfer *t, double cpu_seconds) {
  double seconds = t->start == 0 ? 0 : now() - t->start, window = seconds - t->skip;
  if (window > t->length) window = t->length;
  printf("{\"bytes\":%.0f,\"seconds\":%.4f,\"gbps\":%.6f,\"cpu\":%.4f}\n", t->bytes, seconds,
         window > 0 ? t->window_bytes * 8 / window / 1e9 : 0, cpu_seconds);
}
#endif
