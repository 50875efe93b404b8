// Devices at a router, as C programs are: TLS with a certificate each, enftun's wire.
//   devices accept PORT LIST SECONDS   each in turn, four at a time: connects, has a frame answered, leaves
//   devices hold PORT LIST             all connect and have a frame answered; they stay until the standard input ends
//   devices pairs PORT LIST SECONDS    of each two, one sends its frame over and over, a record full of them at a time; the other counts
//   devices single PORT LIST SECONDS   the same with a record for each frame, as enftun does it
//   devices try PORT LIST SECONDS      each in turn from an address of its own, twenty a second, as slow as with a TPM: how many were let in in time
// LIST has a line for each device: a file with certificate, those above it, and key, and the frame in hex.
#include "../tunnel/common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST = 4096, FRAME = 1500, FRAMES = 13, WORKERS = 4, TRYING = 16 };

struct device {
  SSL_CTX *context;
  SSL *ssl;
  atomic_bool busy;  // one that comes and goes is there once
  int length;
  uint8_t frame[FRAME];
};

static struct device devices[MOST];
static int count_of_devices;
static const char *port;
static double end;
static atomic_int next_one;
static atomic_llong done, received;
static atomic_bool over;
static int frames_in_record = FRAMES;

static __attribute__((noreturn)) void refuse(const char *what) {
  fprintf(stderr, "%s: ", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static void read_list(const char *path) {
  char pem[512], hex[2 * FRAME + 1], format[32];
  FILE *file = fopen(path, "r");
  if (file == NULL) die(path);
  snprintf(format, sizeof format, "%%511s %%%ds", 2 * FRAME);
  while (count_of_devices < MOST && fscanf(file, format, pem, hex) == 2) {
    struct device *device = &devices[count_of_devices++];
    device->context = SSL_CTX_new(TLS_client_method());
    if (device->context == NULL || SSL_CTX_use_certificate_chain_file(device->context, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(device->context, pem, SSL_FILETYPE_PEM) != 1)
      refuse(pem);
    device->length = (int)strlen(hex) / 2;
    for (int i = 0; i < device->length; i++) {
      char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
      device->frame[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
  }
  fclose(file);
}

// From 127.201.0.1 and a port of its own, the same in each run: the kernel gives connections to the router's threads by their ends, and what packets cost depends on
// which threads two devices are in. It ends with a reset, so that the next run may have the same ends.
static int connect_from(int number) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  struct linger none = {.l_onoff = 1};
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + number)), .sin_addr.s_addr = htonl(0x7fc90001)};
  struct sockaddr_in router = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0 || connect(fd, (struct sockaddr *)&router, sizeof router) != 0) die("own port");
  return fd;
}

static void shake_hands(struct device *device, int fd) {
  int yes = 1;
  // Or else the first frame waits until the end of the handshake is acknowledged.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  device->ssl = SSL_new(device->context);
  if (device->ssl == NULL || SSL_set_fd(device->ssl, fd) != 1 || SSL_connect(device->ssl) != 1)
    refuse("TLS handshake");
}

static void come(struct device *device) { shake_hands(device, connect_to(SOCK_STREAM, "127.0.0.1", port, NULL)); }

// That the router has let it in shows in an answer only.
static void be_answered(struct device *device) {
  uint8_t answer[2 * FRAME];
  if (SSL_write(device->ssl, device->frame, device->length) != device->length) refuse("sending");
  for (int got = 0; got < device->length;) {
    int n = SSL_read(device->ssl, answer + got, (int)sizeof answer - got);
    if (n <= 0) refuse("no answer");
    got += n;
  }
}

// What a TPM takes for the signature of the handshake.
static int sign_slowly(SSL *ssl, void *unused) {
  (void)ssl;
  (void)unused;
  usleep(300000);
  return 1;
}

// The same for one that may fail, from 127.200.0.0/16.
static bool try_once(struct device *device, int number) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  struct timeval patience = {5, 0};
  uint8_t answer[2 * FRAME];
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7fc80001 + (uint32_t)number % 200 * 256)};
  struct sockaddr_in router = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  SSL *ssl = SSL_new(device->context);
  SSL_set_cert_cb(ssl, sign_slowly, NULL);
  if (fd < 0 || ssl == NULL || bind(fd, (struct sockaddr *)&own, sizeof own) != 0) die("own address");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  bool in = connect(fd, (struct sockaddr *)&router, sizeof router) == 0 && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 &&
            SSL_write(ssl, device->frame, device->length) == device->length && SSL_read(ssl, answer, sizeof answer) > 0;
  if (in) SSL_shutdown(ssl);
  SSL_free(ssl);
  close(fd);
  ERR_clear_error();
  return in;
}

static void *try_in_turn(void *unused) {
  for (int i; now() < end && (i = atomic_fetch_add(&next_one, 1)) >= 0;) {
    if (try_once(&devices[i % count_of_devices], i)) atomic_fetch_add(&done, 1);
    usleep(TRYING * 50000 - 300000);
  }
  return unused;
}

static void leave(struct device *device) {
  int fd = SSL_get_fd(device->ssl);
  SSL_shutdown(device->ssl);
  SSL_free(device->ssl);
  close(fd);
}

static void *come_and_go(void *unused) {
  for (int i; now() < end && (i = atomic_fetch_add(&next_one, 1)) >= 0;) {
    struct device *device = &devices[i % count_of_devices];
    if (atomic_exchange(&device->busy, true)) continue;
    come(device);
    be_answered(device);
    leave(device);
    device->busy = false;
    atomic_fetch_add(&done, 1);
  }
  return unused;
}

static void *send_on(void *argument) {
  struct device *device = argument;
  uint8_t frames[FRAMES * FRAME];
  int length = 0;
  for (int i = 0; i < frames_in_record; i++, length += device->length) memcpy(frames + length, device->frame, (size_t)device->length);
  while (!over && SSL_write(device->ssl, frames, length) == length) {}
  return NULL;
}

static void *take(void *argument) {
  struct device *device = argument;
  static _Thread_local uint8_t room[65536];
  for (int n; (n = SSL_read(device->ssl, room, sizeof room)) > 0;) atomic_fetch_add(&received, n);
  return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument) {
  if (pthread_create(thread, NULL, run, argument) != 0) die("thread");
}

static int work(void *(*run)(void *), int count, double seconds) {
  pthread_t workers[TRYING];
  end = now() + seconds;
  for (int i = 0; i < count; i++) start(&workers[i], run, NULL);
  for (int i = 0; i < count; i++) pthread_join(workers[i], NULL);
  printf("{\"tried\":%d,\"connections\":%lld}\n", (int)next_one, (long long)done);
  return 0;
}

static int hold(void) {
  for (int i = 0; i < count_of_devices; i++) {
    come(&devices[i]);
    be_answered(&devices[i]);
  }
  printf("{\"held\":%d}\n", count_of_devices);
  fflush(stdout);
  while (getchar() != EOF) {}
  return 0;
}

static int pairs(double seconds) {
  pthread_t thread;
  for (int i = 0; i < count_of_devices; i++) shake_hands(&devices[i], connect_from(i));
  for (int i = 0; i + 1 < count_of_devices; i += 2) {
    start(&thread, take, &devices[i + 1]);
    start(&thread, send_on, &devices[i]);
  }
  double begun = now();
  usleep((useconds_t)(seconds * 1e6));
  over = true;
  usleep(200000); // what is under way
  printf("{\"bytes\":%lld,\"seconds\":%.3f}\n", (long long)received, now() - begun);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc >= 4) {
    port = argv[2];
    read_list(argv[3]);
    if (count_of_devices < 2) usage("LIST names two devices at least");
    if (argc == 4 && strcmp(argv[1], "hold") == 0) return hold();
    if (argc == 5 && strcmp(argv[1], "accept") == 0) return work(come_and_go, WORKERS, atof(argv[4]));
    if (argc == 5 && strcmp(argv[1], "try") == 0) return work(try_in_turn, TRYING, atof(argv[4]));
    if (argc == 5 && strcmp(argv[1], "single") == 0) frames_in_record = 1;
    if (argc == 5 && (frames_in_record == 1 || strcmp(argv[1], "pairs") == 0)) return pairs(atof(argv[4]));
  }
  usage("devices accept PORT LIST SECONDS | devices try PORT LIST SECONDS | devices hold PORT LIST | devices pairs PORT LIST SECONDS | devices single PORT LIST SECONDS");
}
