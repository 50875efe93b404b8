// A wide-area path between two network namespaces: joins a TUN in each with one-way delay, random drop, and a rate
// limit with a bounded first-in first-out queue, the same in both directions. Says "up" and runs until it is stopped.
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

enum { SLOTS = 16384, LARGEST = 1600, AT_ONCE = 64 };
static const double LONGEST_WAIT = 0.05; // seconds

struct packet {
  double due;
  size_t length;
  unsigned char bytes[LARGEST];
};

struct direction {
  struct packet *ring;
  unsigned head, tail; // of what is under way, counted without end
  double line_free_at; // when the last bit of what was accepted has left
};

struct path {
  double delay, drop, bytes_per_second, longest_queue;
};

static int open_tun(const char *namespace, const char *device) {
  char file[256];
  snprintf(file, sizeof file, "/run/netns/%s", namespace);
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) die(file);
  close(fd);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request) != 0) die(device);
  return tun;
}

// Takes what the sender's side has and gives each packet its time of arrival, or drops it.
static void take(const struct path *path, struct direction *d, int from) {
  for (int i = 0; i < AT_ONCE && d->tail - d->head < SLOTS; i++) {
    struct packet *p = &d->ring[d->tail % SLOTS];
    ssize_t n = read(from, p->bytes, LARGEST);
    if (n <= 0) return;
    if (drand48() < path->drop) continue;
    double at = now(), start = d->line_free_at > at ? d->line_free_at : at;
    if (start - at > path->longest_queue) continue;
    d->line_free_at = start + (double)n / path->bytes_per_second;
    p->length = (size_t)n;
    p->due = d->line_free_at + path->delay;
    d->tail++;
  }
}

// Hands over what has arrived; returns when the next packet will.
static double deliver(struct direction *d, int to) {
  double at = now();
  for (; d->head != d->tail; d->head++) {
    struct packet *p = &d->ring[d->head % SLOTS];
    if (p->due > at) return p->due;
    if (write(to, p->bytes, p->length) < 0 && errno != EAGAIN && errno != EIO) die("write");
  }
  return at + LONGEST_WAIT;
}

int main(int argc, char **argv) {
  if (argc != 10) usage("wan NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS DROP_PERCENT MBIT_PER_SECOND QUEUE_MS SEED");
  struct path path = {.delay = atof(argv[5]) / 1e3,
                      .drop = atof(argv[6]) / 100,
                      .bytes_per_second = atof(argv[7]) * 1e6 / 8,
                      .longest_queue = atof(argv[8]) / 1e3};
  srand48(atol(argv[9]));
  // The path must not become slower or bunch packets because the machine is busy.
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) setpriority(PRIO_PROCESS, 0, -15);
  int tun[2] = {open_tun(argv[1], argv[2]), open_tun(argv[3], argv[4])};
  struct direction direction[2] = {{0}};
  for (int i = 0; i < 2; i++)
    if ((direction[i].ring = calloc(SLOTS, sizeof(struct packet))) == NULL) die("memory");
  puts("up");
  fflush(stdout);
  for (;;) {
    double next = now() + LONGEST_WAIT;
    for (int i = 0; i < 2; i++) {
      double then = deliver(&direction[i], tun[1 - i]);
      if (then < next) next = then;
    }
    double left = next - now();
    struct timespec time = {.tv_nsec = left > 0 ? (long)(left * 1e9) : 0};
    struct pollfd wait[2] = {{.fd = tun[0], .events = POLLIN}, {.fd = tun[1], .events = POLLIN}};
    ppoll(wait, 2, &time, NULL);
    for (int i = 0; i < 2; i++) take(&path, &direction[i], tun[i]);
  }
}
