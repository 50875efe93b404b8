// Devices of a router's thread that share what it has. LIST has a line for each device: a file with certificate and key, and a frame in hex.
//   sharing first PORT LIST SECONDS         each pings a new address every 20 ms, its frame's (an echo request) with another ending: how many
//                                           answers came
//   sharing scan PORT LIST SECONDS RATE     the first device sends its frame RATE times a second, each time to another address
//   sharing crowd PORT LIST SECONDS RATE    all but the first device read nothing; it sends each of them FILL bytes of its frame, says so, and
//                                           sends RATE frames a second from then on
//   sharing pair PORT LIST SECONDS RATE     the first device sends its frame RATE times a second, the second one reads it in turns of
//                                           TURN_US: how many came
#include "../tunnel/common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST = 1024, FRAME = 1500, HEADER = 2, DESTINATION = HEADER + 24, ICMP = HEADER + 40, ECHO_REPLY = 129, PERIOD_US = 20000 };
enum { FILL = 3 << 20, RECEIVE_BUFFER = 64 << 10, TURN_US = 40000, ONCE = 10, LATE_SECONDS = 2 };

struct device {
  SSL *ssl;
  int fd, length;
  uint8_t frame[FRAME], in[2 * FRAME];
  int held;
  uint32_t sent, received;
};

static struct device devices[MOST];
static int count_of_devices;
static const char *port;
static double end;
static atomic_uint received;
static atomic_bool over;

static void read_frame(struct device *device, const char *hex) {
  device->length = (int)strlen(hex) / 2;
  for (int i = 0; i < device->length; i++) {
    char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
    device->frame[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
}

static void come(struct device *device, const char *pem, int receive_buffer) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  int yes = 1;
  if (context == NULL || SSL_CTX_use_certificate_file(context, pem, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) != 1)
    usage("LIST names files with a certificate and its key");
  device->fd = connect_to(SOCK_STREAM, "127.0.0.1", port, NULL);
  setsockopt(device->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (receive_buffer > 0) setsockopt(device->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  device->ssl = SSL_new(context);
  if (SSL_set_fd(device->ssl, device->fd) != 1 || SSL_connect(device->ssl) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
}

static void read_list(const char *path, int receive_buffer) {
  char pem[512], hex[2 * FRAME + 1], format[32];
  FILE *file = fopen(path, "r");
  if (file == NULL) die(path);
  snprintf(format, sizeof format, "%%511s %%%ds", 2 * FRAME);
  while (count_of_devices < MOST && fscanf(file, format, pem, hex) == 2) {
    struct device *device = &devices[count_of_devices++];
    read_frame(device, hex);
    come(device, pem, receive_buffer);
  }
  fclose(file);
}

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static bool send_frame(struct device *device, const uint8_t *frame, int length) {
  return SSL_write(device->ssl, frame, length) == length;
}

// The same frame to another address. A checksum over the destination's last bytes, and the echo's sequence: what one gets, the other loses.
static bool send_to(struct device *device, uint32_t number) {
  put32(device->frame + DESTINATION + 12, number);
  put32(device->frame + ICMP + 4, ~number);
  device->sent++;
  return send_frame(device, device->frame, device->length);
}

static void wait_until(double due) {
  double early = due - now();
  if (early > 0) usleep((useconds_t)(early * 1e6));
}

// Counts the echo replies that have come.
static void take_replies(struct device *device) {
  struct pollfd readable = {.fd = device->fd, .events = POLLIN};
  while (SSL_pending(device->ssl) > 0 || poll(&readable, 1, 0) > 0) {
    int got = SSL_read(device->ssl, device->in + device->held, (int)sizeof device->in - device->held);
    if (got <= 0) return;
    device->held += got;
    for (;;) {
      int size = HEADER + (device->in[0] << 8 | device->in[1]);
      if (device->held < HEADER || device->held < size) break;
      if (size > ICMP && device->in[ICMP] == ECHO_REPLY) device->received++;
      device->held -= size;
      memmove(device->in, device->in + size, (size_t)device->held);
    }
  }
}

static int first(void) {
  uint32_t sent = 0, answered = 0, number = 1;
  for (double due = now(); now() < end; due += PERIOD_US / 1e6, number++) {
    wait_until(due);
    for (int i = 0; i < count_of_devices; i++) {
      if (!send_to(&devices[i], number)) die("sending");
      take_replies(&devices[i]);
    }
  }
  usleep(LATE_SECONDS * 1000000);
  for (int i = 0; i < count_of_devices; i++) {
    take_replies(&devices[i]);
    sent += devices[i].sent;
    answered += devices[i].received;
  }
  printf("{\"sent\":%u,\"received\":%u}\n", sent, answered);
  return 0;
}

static int scan(double rate) {
  uint32_t number = 1;
  for (double due = now(); now() < end; due += ONCE / rate) {
    wait_until(due);
    for (int i = 0; i < ONCE; i++)
      if (!send_to(&devices[0], number++)) return 1;
  }
  return 0;
}

static int crowd(double rate) {
  int others = count_of_devices - 1;
  for (uint64_t sent = 0; sent < (uint64_t)FILL * (uint64_t)others; sent += FRAME)
    if (!send_frame(&devices[0], devices[1 + sent / FRAME % (uint64_t)others].frame, devices[1].length)) return 1;
  puts("{\"full\":true}");
  fflush(stdout);
  int next = 0;
  for (double due = now(); now() < end; due += ONCE / rate) {
    wait_until(due);
    for (int i = 0; i < ONCE; i++, next = (next + 1) % others)
      if (!send_frame(&devices[0], devices[1 + next].frame, devices[1 + next].length)) return 1;
  }
  return 0;
}

static void *read_in_turns(void *argument) {
  static uint8_t room[1 << 16];
  struct device *device = argument;
  uint64_t bytes = 0;
  struct timeval patience = {0, TURN_US};
  setsockopt(device->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  while (!over) {
    usleep(TURN_US);
    double turn = now() + TURN_US / 1e6;
    while (now() < turn) {
      int n = SSL_read(device->ssl, room, sizeof room);
      if (n > 0) bytes += (uint64_t)n;
    }
  }
  received = (unsigned)(bytes / (uint64_t)devices[0].length);
  return NULL;
}

static int pair(double rate) {
  pthread_t reader;
  struct sched_param first = {.sched_priority = 1};
  (void)sched_setscheduler(0, SCHED_FIFO, &first);  // what is measured is the router's loss, not this program's
  if (pthread_create(&reader, NULL, read_in_turns, &devices[1]) != 0) die("thread");
  for (double due = now(); now() < end; due += ONCE / rate) {
    wait_until(due);
    for (int i = 0; i < ONCE; i++, devices[0].sent++)
      if (!send_frame(&devices[0], devices[0].frame, devices[0].length)) die("sending");
  }
  usleep(LATE_SECONDS * 1000000);
  over = true;
  pthread_join(reader, NULL);
  printf("{\"sent\":%u,\"received\":%u}\n", devices[0].sent, (unsigned)received);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc >= 5) {
    const char *mode = argv[1];
    double rate = argc == 6 ? atof(argv[5]) : 0;
    port = argv[2];
    read_list(argv[3], strcmp(mode, "crowd") == 0 || strcmp(mode, "pair") == 0 ? RECEIVE_BUFFER : 0);
    end = now() + atof(argv[4]);
    if (strcmp(mode, "first") == 0 && count_of_devices > 0) return first();
    if (strcmp(mode, "scan") == 0 && rate > 0 && count_of_devices > 0) return scan(rate);
    if (strcmp(mode, "crowd") == 0 && rate > 0 && count_of_devices > 1) return crowd(rate);
    if (strcmp(mode, "pair") == 0 && rate > 0 && count_of_devices > 1) return pair(rate);
  }
  usage("sharing first PORT LIST SECONDS | sharing scan|crowd|pair PORT LIST SECONDS RATE");
}
