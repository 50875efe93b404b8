// Small UDP packets at a given rate, and a counter of those that arrive.
#define _GNU_SOURCE
#include "common.h"

enum { BATCH = 32, LARGEST = 2048 };
static const double SILENCE = 0.6; // seconds without a packet that end the count
static const double LATEST = 2000; // packets behind schedule that are caught up; the rest is given up

static struct mmsghdr messages[BATCH];
static struct iovec parts[BATCH];
static char payload[BATCH][LARGEST];

static void prepare(size_t size) {
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){.iov_base = payload[i], .iov_len = size};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static int count_packets(char **arg) {
  int fd = bind_to(SOCK_DGRAM, arg[0]), space = 8 << 20;
  struct timeval patience = {0, 200000};
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof space);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  prepare(LARGEST);
  double first = 0, last = 0, end = now() + atof(arg[1]);
  long packets = 0;
  while (now() < end) {
    int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (n > 0) {
      last = now();
      if (first == 0) first = last;
      packets += n;
    } else if (first != 0 && now() - last > SILENCE) {
      break;
    }
  }
  printf("{\"packets\":%ld,\"pps\":%.1f}\n", packets, last > first ? (double)packets / (last - first) : 0);
  return 0;
}

static int transmit(char **arg) {
  double rate = atof(arg[2]);
  size_t size = (size_t)atoi(arg[3]);
  if (size == 0 || size > LARGEST) usage("SIZE is 1 to 2048");
  int fd = connect_to(SOCK_DGRAM, arg[0], arg[1], NULL);
  prepare(size);
  double start = now(), end = start + atof(arg[4]);
  long sent = 0;
  while (now() < end) {
    double due = (now() - start) * rate - (double)sent;
    if (due < 1) {
      usleep(100);
      continue;
    }
    int n = sendmmsg(fd, messages, due > BATCH ? BATCH : (unsigned)due, 0);
    sent += n > 0 ? n : 1;
    if (due > LATEST) start += (due - LATEST) / rate;
  }
  printf("{\"sent\":%ld}\n", sent);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "count") == 0) return count_packets(argv + 2);
  if (argc == 7 && strcmp(argv[1], "send") == 0) return transmit(argv + 2);
  usage("blast count PORT SECONDS | blast send ADDRESS PORT PACKETS_PER_SECOND SIZE SECONDS");
}
