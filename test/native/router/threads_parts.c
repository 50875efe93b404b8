// A router of two threads whose device comes and goes while the host sends to it. Ends with a line "ok", or with what was wrong.
#include "../../../native/router/router.h"
#include "../transport/tlspair.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <stdatomic.h>

enum { CONNECTIONS = 40, PACKET = 60, ARRIVALS = 64 };

static const uint8_t ADDRESS[16] = {0xfd, [15] = 9};

// What the threads report, for the main thread.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct router_peer *arrived[ARRIVALS];
static int arrivals, ended, reached;
static bool stopped;
static struct router *router;

static void on_report(void *owner, struct router_event *event) {
  (void)owner;
  pthread_mutex_lock(&lock);
  if (event->kind == ROUTER_ARRIVED) arrived[arrivals++] = router_peer_keep(event->peer);
  if (event->kind == ROUTER_ENDED) ended++;
  if (event->kind == ROUTER_REACHED) reached++;
  if (event->kind == ROUTER_STOPPED) stopped = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  router_event_free(event);
}

static void on_ended(void *owner) { (void)owner; }

#define WAIT_UNTIL(what)                                  \
  do {                                                    \
    pthread_mutex_lock(&lock);                            \
    while (!(what)) pthread_cond_wait(&changed, &lock);   \
    pthread_mutex_unlock(&lock);                          \
  } while (0)

static char *pem_of(BIO *bio) {
  char *text, *copy;
  long length = BIO_get_mem_data(bio, &text);
  CHECK(length > 0 && (copy = strndup(text, (size_t)length)) != NULL);
  BIO_free(bio);
  return copy;
}

static void start_router(const struct tlsidentity *identity, int tun) {
  struct sockaddr_storage address = {0};
  *(struct sockaddr_in *)(void *)&address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct router_settings settings = {
      .threads = 2,
      .ratelimit = {.pending = 100, .pending_per_source = 100, .refusal_burst = 1000, .refusals_per_second = 0, .sources = 100},
      .handshake_ms = 60000, .linger_ms = 1000, .stall_ms = 60000, .queue_bytes = 1 << 20, .tun = tun, .offload = DP_OFFLOAD_NONE};
  BIO *certificate = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
  char reason[DP_REASON] = "";
  const char *doing;
  CHECK(PEM_write_bio_X509(certificate, identity->certificate) == 1);
  CHECK(PEM_write_bio_PrivateKey(key, identity->key, NULL, NULL, 0, NULL, NULL) == 1);
  char *certificate_pem = pem_of(certificate), *key_pem = pem_of(key);
  CHECK(router_start(&settings, &address, certificate_pem, key_pem, (struct router_listener){NULL, on_report, on_ended}, &router, &doing, reason) == 0);
  free(certificate_pem);
  free(key_pem);
}

// As napi.c does it for JavaScript.
static void admit(struct router_peer *peer) {
  struct router_command route = {.kind = ROUTER_ROUTE, .peer = peer, .network = 1}, *command = malloc(sizeof *command);
  memcpy(peer->address, ADDRESS, sizeof ADDRESS);
  *command = (struct router_command){.kind = ROUTER_ADMIT, .peer = router_peer_keep(peer), .network = 1};
  router_send_command(router, 0, command);
  CHECK(router_broadcast_route(router, &route));
}

static void disconnect(struct router_peer *peer) {
  struct router_command *command = malloc(sizeof *command);
  *command = (struct router_command){.kind = ROUTER_DISCONNECT, .peer = router_peer_keep(peer)};
  router_send_command(router, 0, command);
}

static void unroute(struct router_peer *peer) {
  struct router_command command = {.kind = ROUTER_UNROUTE, .peer = peer};
  CHECK(router_broadcast_route(router, &command));
}

struct client {
  int fd;
  SSL *ssl;
};

static struct client come(SSL_CTX *context) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(router->port)};
  struct client client = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), SSL_new(context)};
  CHECK(connect(client.fd, (struct sockaddr *)&to, sizeof to) == 0 && SSL_set_fd(client.ssl, client.fd) == 1 && SSL_connect(client.ssl) == 1);
  return client;
}

static void leave(struct client *client) {
  SSL_free(client->ssl);
  close(client->fd);
}

static atomic_bool over;

// The host sends to the device, connected or not.
static void *send_from_host(void *argument) {
  uint8_t packet[PACKET] = {0x60, [5] = PACKET - DP_IPV6_HEADER, [6] = DP_UDP, [8] = 0xfd};
  memcpy(packet + 24, ADDRESS, sizeof ADDRESS);
  while (!atomic_load(&over))
    if (send(*(int *)argument, packet, sizeof packet, 0) < 0) sched_yield();
  return NULL;
}

int main(void) {
  struct tlsidentity identity = tlspair_identity();
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  int tun[2];
  pthread_t host;
  uint32_t on_thread[2] = {0};
  struct client client = {0};
  CHECK(SSL_CTX_use_certificate(context, identity.certificate) == 1 && SSL_CTX_use_PrivateKey(context, identity.key) == 1);
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, tun) == 0);
  start_router(&identity, tun[0]);
  CHECK(pthread_create(&host, NULL, send_from_host, &tun[1]) == 0);
  for (int i = 0; i < CONNECTIONS; i++) {
    // Every other one is there when the next one comes.
    struct client before = client;
    client = come(context);
    WAIT_UNTIL(arrivals > i);
    admit(arrived[i]);
    on_thread[arrived[i]->thread->index]++;
    uint8_t frame[WIRE_FRAME_HEADER_LENGTH + PACKET];
    CHECK(SSL_read(client.ssl, frame, sizeof frame) > 0);
    if (before.ssl != NULL) leave(&before);
    disconnect(arrived[i]);
    WAIT_UNTIL(ended > i);
    unroute(arrived[i]);
  }
  leave(&client);
  struct router_command barrier = {.kind = ROUTER_BARRIER, .number = 7};
  CHECK(router_broadcast_command(router, &barrier));
  WAIT_UNTIL(reached == 2);
  CHECK(on_thread[0] > 0 && on_thread[1] > 0);
  atomic_store(&over, true);
  pthread_join(host, NULL);
  // Of routes alone no thread is woken, but they do not heap up.
  for (int i = 0; i < 1000; i++) unroute(arrived[0]);
  for (int i = 0; i < 2; i++)
    while (atomic_load(&router->thread[i].mailbox.count) >= 64) sched_yield();
  struct router_command stop = {.kind = ROUTER_SHUT_DOWN, .hard = true};
  CHECK(router_broadcast_command(router, &stop));
  WAIT_UNTIL(stopped);
  router_join(router);
  for (int i = 0; i < CONNECTIONS; i++) router_peer_release(arrived[i]);
  close(tun[1]);
  SSL_CTX_free(context);
  tlspair_forget(&identity);
  puts("ok");
  return 0;
}
