// A steady TCP flow that costs next to nothing: `send` gives a piece every few milliseconds and connects again whenever it is cut,
// until it is killed; `serve` takes all that comes, from any number of senders. Both say nothing.
#include "common.h"
#include <poll.h>
#include <signal.h>

enum { MOST = 32 };
static const int RETRY_US = 1000000, CUT_MS = 15000;
static char buffer[1 << 16];

static int serve(char **arg) {
  struct pollfd fds[MOST] = {{.fd = bind_to(SOCK_STREAM, arg[0]), .events = POLLIN}};
  nfds_t used = 1;
  if (listen(fds[0].fd, MOST) != 0) die("listen");
  for (;;) {
    if (poll(fds, used, -1) < 0) die("poll");
    for (nfds_t i = used; i-- > 1;)
      if (fds[i].revents != 0 && recv(fds[i].fd, buffer, sizeof buffer, MSG_DONTWAIT) <= 0) {
        close(fds[i].fd);
        fds[i] = fds[--used];
      }
    if ((fds[0].revents & POLLIN) == 0) continue;
    int peer = accept(fds[0].fd, NULL, NULL);
    if (peer < 0) continue;
    if (used == MOST) { // the oldest is one that was cut and never closed
      close(fds[1].fd);
      fds[1] = fds[--used];
    }
    unsigned patience = CUT_MS;
    setsockopt(peer, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    fds[used++] = (struct pollfd){.fd = peer, .events = POLLIN};
  }
}

static int dial(const char *address, const char *port) {
  struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
  if (getaddrinfo(address, port, &want, &found) != 0) die(address);
  int fd = socket(found->ai_family, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  unsigned patience = CUT_MS;
  struct timeval longest = {CUT_MS / 1000, 0};
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest); // connect, too
  int failed = connect(fd, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  if (failed == 0) return fd;
  close(fd);
  return -1;
}

static int transmit(char **arg) {
  size_t piece = (size_t)atol(arg[2]);
  useconds_t pause = (useconds_t)atol(arg[3]) * 1000;
  if (piece == 0 || piece > sizeof buffer || pause == 0) usage("BYTES is 1 to 65536, MILLISECONDS at least 1");
  for (;; usleep(RETRY_US)) {
    int fd = dial(arg[0], arg[1]);
    if (fd < 0) continue;
    while (send(fd, buffer, piece, 0) > 0) usleep(pause);
    close(fd);
  }
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve(argv + 2);
  if (argc == 6 && strcmp(argv[1], "send") == 0) return transmit(argv + 2);
  usage("trickle serve PORT | trickle send ADDRESS PORT BYTES MILLISECONDS");
}
