// Devices at a router of which one is hostile. Each is a mode of this program, with a file of certificate and key, and a frame in hex.
//   flood probe PORT PEM FRAME SECONDS     sends a frame that is answered every 2 ms: how long after it was due each answer came
//   flood drain PORT PEM FRAME SECONDS     takes what comes
//   flood keys PORT PEM FRAME SECONDS      sends TLS key updates as fast as it goes, and comes again when its connection ends
//   flood bytes PORT PEM FRAME SECONDS     sends the frame over and over, each byte a TLS record
//   flood segments PORT PEM FRAME SECONDS  makes of the frame, UDP over IPv6, one that is to be cut to as many packets as the router takes
#include "../tunnel/common.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>

enum { FRAME = 1500, HEADERS = 48, KEYS_BURST = 1 << 20, BYTES_BURST = 8 << 20, PERIOD_US = 2000, MOST = 100000, PAYLOAD = 60000, SEGMENT = 48 };

static const char *port, *pem;
static uint8_t frame[FRAME];
static int length;
static double end;

struct connection {
  int fd;
  SSL *ssl;
};

static SSL_CTX *context(bool super) {
  SSL_CTX *made = SSL_CTX_new(TLS_client_method());
  if (made == NULL || SSL_CTX_use_certificate_file(made, pem, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(made, pem, SSL_FILETYPE_PEM) != 1)
    usage("PEM holds a certificate and its key");
  if (super) SSL_CTX_set_alpn_protos(made, (const unsigned char *)"\x05" "enf/2", 6);
  return made;
}

static bool come(struct connection *connection, SSL_CTX *made) {
  int yes = 1;
  connection->fd = connect_to(SOCK_STREAM, "127.0.0.1", port, NULL);
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  connection->ssl = SSL_new(made);
  return SSL_set_fd(connection->ssl, connection->fd) == 1 && SSL_connect(connection->ssl) == 1;
}

static void leave(struct connection *connection) {
  SSL_free(connection->ssl);
  close(connection->fd);
  ERR_clear_error();
}

static bool answered(SSL *ssl) {
  uint8_t answer[2 * FRAME];
  if (SSL_write(ssl, frame, length) != length) return false;
  for (int got = 0, n; got < length; got += n)
    if ((n = SSL_read(ssl, answer + got, length - got)) <= 0) return false;
  return true;
}

static int by_size(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return a < b ? -1 : a > b;
}

static int probe(void) {
  static double delays[MOST];
  struct connection connection;
  struct sched_param first = {.sched_priority = 1};
  int count = 0;
  (void)sched_setscheduler(0, SCHED_FIFO, &first);  // what is measured is the router's delay, not this program's
  if (!come(&connection, context(false)) || !answered(connection.ssl)) die("the probe was not let in");
  for (double due = now() + 0.1; due < end && count < MOST; due += PERIOD_US / 1e6) {
    double early = due - now();
    if (early > 0) usleep((useconds_t)(early * 1e6));
    if (!answered(connection.ssl)) die("the probe was not answered");
    delays[count++] = now() - due;
  }
  if (count == 0) usage("SECONDS are more");
  qsort(delays, (size_t)count, sizeof *delays, by_size);
  printf("{\"count\":%d,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", count, delays[count / 2] * 1e3, delays[count * 99 / 100] * 1e3,
         delays[count - 1] * 1e3);
  return 0;
}

static int drain(void) {
  static uint8_t room[1 << 16];
  struct connection connection;
  if (!come(&connection, context(false))) die("was not let in");
  while (now() < end && SSL_read(connection.ssl, room, sizeof room) > 0) {}
  return 0;
}

// Makes records first, then sends them at once: so much lies before the router.
static bool send_burst(struct connection *connection, bool keys, int *at) {
  BIO *memory = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(connection->ssl);
  char *bytes;
  BIO_up_ref(socket);
  SSL_set0_wbio(connection->ssl, memory);
  bool fine = true;
  for (; fine && BIO_ctrl_pending(memory) < (size_t)(keys ? KEYS_BURST : BYTES_BURST); *at = (*at + 1) % length)
    fine = keys ? SSL_key_update(connection->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(connection->ssl) == 1
                : SSL_write(connection->ssl, frame + *at, 1) == 1;
  long size = BIO_get_mem_data(memory, &bytes);
  for (long sent = 0, n; fine && sent < size && now() < end; sent += n) {
    n = send(connection->fd, bytes + sent, (size_t)(size - sent), MSG_NOSIGNAL);
    fine = n > 0;
  }
  SSL_set0_wbio(connection->ssl, socket);
  return fine;
}

static int records(bool keys) {
  SSL_CTX *made = context(false);
  while (now() < end) {
    struct connection connection;
    int at = 0;  // of the frame, whose bytes a burst may end between
    if (come(&connection, made) && answered(connection.ssl))
      while (now() < end && send_burst(&connection, keys, &at)) {}
    leave(&connection);
  }
  return 0;
}

static void put16(uint8_t *at, int value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static int segments(void) {
  static uint8_t super[6 + HEADERS + PAYLOAD];
  struct connection connection;
  put16(super, 4 + HEADERS + PAYLOAD);
  super[2] = 0xe1;
  super[3] = 5;
  put16(super + 4, SEGMENT);
  memcpy(super + 6, frame + 2, HEADERS);
  put16(super + 6 + 4, HEADERS - 40 + PAYLOAD);
  put16(super + 6 + 44, HEADERS - 40 + PAYLOAD);
  if (!come(&connection, context(true))) die("was not let in");
  while (now() < end && SSL_write(connection.ssl, super, sizeof super) == (int)sizeof super) {}
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 6) {
    port = argv[2];
    pem = argv[3];
    length = (int)strlen(argv[4]) / 2;
    end = now() + atof(argv[5]);
    for (int i = 0; i < length && i < FRAME; i++) {
      char digits[3] = {argv[4][2 * i], argv[4][2 * i + 1], 0};
      frame[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    if (length >= 2 + HEADERS && length <= FRAME) {
      if (strcmp(argv[1], "probe") == 0) return probe();
      if (strcmp(argv[1], "drain") == 0) return drain();
      if (strcmp(argv[1], "keys") == 0) return records(true);
      if (strcmp(argv[1], "bytes") == 0) return records(false);
      if (strcmp(argv[1], "segments") == 0) return segments();
    }
  }
  usage("flood probe|drain|keys|bytes|segments PORT PEM FRAME SECONDS");
}
