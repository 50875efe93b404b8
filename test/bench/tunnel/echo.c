// Round trips of small UDP packets, sent at a fixed pace whether or not the last one has come back.
#define _GNU_SOURCE
#include "common.h"
#include <poll.h>

enum { SIZE = 64 };
static const double PATIENCE = 1; // seconds for the last answers

static __attribute__((noreturn)) void serve(char **arg) {
  int fd = bind_to(SOCK_DGRAM, arg[0]);
  char packet[2048];
  struct sockaddr_storage from;
  for (;;) {
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &length);
    if (n > 0) sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&from, length);
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void wait_until(int fd, double at) {
  double left = at - now();
  if (left < 0) left = 0;
  struct timespec time = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  ppoll(&wait, 1, &time, NULL);
}

static int ask(char **arg) {
  int wanted = atoi(arg[2]), sent = 0, got = 0;
  double pause = atof(arg[3]) / 1e6, next = now(), end = 0;
  double *trips = calloc((size_t)wanted, sizeof *trips);
  if (wanted < 1 || trips == NULL) usage("COUNT is at least 1");
  int fd = connect_to(SOCK_DGRAM, arg[0], arg[1], NULL);
  char packet[SIZE] = {0};
  while (got < wanted && (sent < wanted || now() < end)) {
    double at = now();
    if (sent < wanted && at >= next) {
      memcpy(packet, &at, sizeof at); // the answer brings its own time of departure
      send(fd, packet, SIZE, 0);
      next = next + pause > at ? next + pause : at + pause;
      if (++sent == wanted) end = at + PATIENCE;
    }
    wait_until(fd, sent < wanted ? next : end);
    while (got < wanted && recv(fd, packet, SIZE, MSG_DONTWAIT) == SIZE) {
      memcpy(&at, packet, sizeof at);
      trips[got++] = (now() - at) * 1e6;
    }
  }
  qsort(trips, (size_t)got, sizeof *trips, ascending);
  if (got == 0) printf("{\"answers\":0,\"asked\":%d}\n", wanted);
  else
    printf("{\"answers\":%d,\"asked\":%d,\"p50\":%.1f,\"p99\":%.1f}\n", got, wanted, trips[got / 2],
           trips[(int)((double)got * 0.99)]);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv + 2);
  if (argc == 6 && strcmp(argv[1], "ask") == 0) return ask(argv + 2);
  usage("echo serve PORT | echo ask ADDRESS PORT COUNT PAUSE_MICROSECONDS");
}
