// One TCP flow as fast as it goes. The receiver prints what came and closes, which ends the sender.
#include "common.h"
#include <signal.h>

static char buffer[1 << 18];

static int receive(char **arg) {
  struct transfer t = {.skip = atof(arg[1]), .length = atof(arg[2])};
  int fd = accept_one(arg[0]);
  for (;;) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0 || !count(&t, (double)n)) break;
  }
  print_transfer(&t, 0);
  return 0;
}

static int transmit(char **arg) {
  int fd = connect_to(SOCK_STREAM, arg[0], arg[1], arg[3]);
  double end = now() + atof(arg[2]);
  while (now() < end)
    if (send(fd, buffer, 1 << 17, 0) <= 0) break;
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 5 && strcmp(argv[1], "receive") == 0) return receive(argv + 2);
  if (argc == 6 && strcmp(argv[1], "send") == 0) return transmit(argv + 2);
  usage("bulk receive PORT SKIP_SECONDS SECONDS | bulk send ADDRESS PORT SECONDS CONGESTION");
}
