// The far end of a tunnel in C, for tests and measurements: the data plane's own loop with the server's side of TLS. It carries
// everything between one TUN and the newest connection.
//   peer TUN PORT CERTIFICATE KEY enf/2|enf/1|none OFFLOAD(0-2)
// Prints "ready", and on SIGTERM its counters as JSON. On SIGUSR1 it changes the keys of both directions (TLS 1.3).
#include "../../../native/client/connection.h"
#include "../../../native/client/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { UPDATE_KEYS = -2 };

struct peer {
  SSL_CTX *context;
  int accepted[2];  // a pipe of descriptors
  const char *alpn;
  uint64_t key_updates;
};

static int choose(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *in, unsigned size, void *arg) {
  const struct peer *peer = arg;
  (void)ssl;
  for (unsigned at = 0; at < size && at + in[at] < size; at += 1u + in[at])
    if (in[at] == strlen(peer->alpn) && memcmp(in + at + 1, peer->alpn, in[at]) == 0) {
      *out = in + at + 1;
      *length = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  return SSL_TLSEXT_ERR_NOACK;
}

static int anybody(int ok, X509_STORE_CTX *store) {
  (void)ok;
  (void)store;
  return 1;
}

static void on_report(void *owner, const struct dp_event *event) {
  (void)owner;
  fprintf(stderr, "event %d %s\n", event->kind, event->text);
}

static void update_keys(struct peer *peer, SSL *ssl) {
  // Not in the middle of a record; and it leaves with the next one.
  peer->key_updates += ssl != NULL && SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1;
  ERR_clear_error();
}

static bool on_commands(void *owner, struct dp_client *client) {
  struct peer *peer = owner;
  for (int fd; read(peer->accepted[0], &fd, sizeof fd) == sizeof fd;) {
    if (fd == UPDATE_KEYS) {
      update_keys(peer, client->connection.ssl);
      continue;
    }
    if (fd < 0) return false;
    SSL *ssl = SSL_new(peer->context);
    if (ssl == NULL || !dp_tls_attach(ssl, fd)) abort();
    SSL_set_accept_state(ssl);
    dp_client_adopt(client, 1, ssl, fd, 10000);
  }
  return true;
}

static void *run(void *client) {
  dp_client_run(client);
  return NULL;
}

static int listen_on(int port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 16) < 0) {
    perror("listen");
    exit(1);
  }
  return fd;
}

static int listener;
static volatile sig_atomic_t update_wanted;

static void on_signal(int number) {
  if (number == SIGUSR1) update_wanted = 1;
  else shutdown(listener, SHUT_RDWR);  // accept() fails, even if it has yet to be called
}

static void hand_over(struct peer *peer, struct dp_client *client, int fd) {
  uint64_t one = 1;
  if (write(peer->accepted[1], &fd, sizeof fd) < 0 || write(client->wake, &one, sizeof one) < 0) abort();
}

int main(int count, char **arguments) {
  struct dp_counters counters = {0};
  struct peer peer = {.context = SSL_CTX_new(TLS_server_method())};
  char name[IFNAMSIZ] = {0};
  const char *doing;
  if (count != 7) return 2;
  peer.alpn = arguments[5];
  struct dp_client client = {.rules = {.filter = {.any = true, .ipv4 = true}, .heartbeat_period_ms = 3600000, .heartbeat_timeout_ms = 3600000},
                           .counters = &counters,
                           .owner = &peer,
                           .report = on_report,
                           .commands = on_commands,
                           .wake = eventfd(0, EFD_NONBLOCK)};
  strncpy(name, arguments[1], IFNAMSIZ - 1);
  client.tun.fd = dp_tun_open(name, (enum dp_offload)atoi(arguments[6]), false, &client.tun.offload, &doing);
  if (client.tun.fd < 0 || dp_client_init(&client) != 0 || pipe2(peer.accepted, O_NONBLOCK) < 0) {
    fprintf(stderr, "%s: %s\n", doing, strerror(-client.tun.fd));
    return 1;
  }
  dp_tls_prepare(peer.context);
  if (SSL_CTX_use_certificate_chain_file(peer.context, arguments[3]) != 1 ||
      SSL_CTX_use_PrivateKey_file(peer.context, arguments[4], SSL_FILETYPE_PEM) != 1)
    return 1;
  SSL_CTX_set_verify(peer.context, SSL_VERIFY_PEER, anybody);
  SSL_CTX_set_session_id_context(peer.context, (const unsigned char *)"peer", 4);
  if (strcmp(peer.alpn, "none") != 0) SSL_CTX_set_alpn_select_cb(peer.context, choose, &peer);
  listener = listen_on(atoi(arguments[2]));
  pthread_t thread;
  pthread_create(&thread, NULL, run, &client);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 && errno != EINTR) break;
    if (update_wanted) hand_over(&peer, &client, UPDATE_KEYS);
    update_wanted = 0;
    if (fd >= 0) hand_over(&peer, &client, fd);
  }
  hand_over(&peer, &client, -1);
  pthread_join(thread, NULL);
#define PRINT(field, text) printf("%s\"%s\":%llu", #field[0] == 's' && !strcmp(text, "sentPackets") ? "{" : ",", text, (unsigned long long)dp_value(&counters.field));
  DP_COUNTERS(PRINT)
  printf(",\"keyUpdates\":%llu}\n", (unsigned long long)peer.key_updates);
  dp_client_free(&client);
  SSL_CTX_free(peer.context);
  return 0;
}
