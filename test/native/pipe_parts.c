// Between OpenSSL and a socket that takes little. Ends with a line "ok", or with what was wrong.
#include "../../native/dp_pipe.h"
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD = 16384, TOTAL = 1 << 20, SMALL_BUFFER = 20000, MANY_UPDATES = 100000 };

static EVP_PKEY *key;
static X509 *certificate;
static uint8_t room[DP_PIPE_ROOM];

struct pair {
  SSL_CTX *contexts[2];
  SSL *near, *far;
  int fds[2];
  struct dp_pool pool;
  struct dp_pipe *pipe;  // near's
};

static void make_identity(void) {
  CHECK((key = EVP_EC_gen("P-256")) != NULL);
  CHECK((certificate = X509_new()) != NULL);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  CHECK(X509_set_pubkey(certificate, key) == 1);
  CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
}

static void open_pair(struct pair *pair) {
  int size = SMALL_BUFFER;
  *pair = (struct pair){.contexts = {SSL_CTX_new(TLS_server_method()), SSL_CTX_new(TLS_client_method())}};
  SSL_CTX_set_mode(pair->contexts[0], SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  CHECK(SSL_CTX_use_certificate(pair->contexts[0], certificate) == 1);
  CHECK(SSL_CTX_use_PrivateKey(pair->contexts[0], key) == 1);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds) == 0);
  CHECK(setsockopt(pair->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  pair->near = SSL_new(pair->contexts[0]);
  pair->far = SSL_new(pair->contexts[1]);
  CHECK(dp_pipe_attach(pair->near, pair->fds[0]) && dp_pipe_attach(pair->far, pair->fds[1]));
  SSL_set_accept_state(pair->near);
  SSL_set_connect_state(pair->far);
  for (int turn = 0; turn < 10; turn++) {
    SSL_do_handshake(pair->near);
    SSL_do_handshake(pair->far);
  }
  CHECK(SSL_is_init_finished(pair->near) && SSL_is_init_finished(pair->far));
  ERR_clear_error();
  dp_pool_init(&pair->pool, 0);
  pair->pipe = dp_pipe_of(pair->near);
  dp_pipe_hold(pair->pipe, &pair->pool);
}

static void close_pair(struct pair *pair) {
  dp_pipe_release(pair->pipe);
  CHECK(pair->pool.held == 0);
  dp_pool_free(&pair->pool);
  for (int i = 0; i < 2; i++) close(pair->fds[i]);
  SSL_free(pair->near);
  SSL_free(pair->far);
  for (int i = 0; i < 2; i++) SSL_CTX_free(pair->contexts[i]);
}

static uint8_t byte_at(size_t position) { return (uint8_t)(position * 2654435761u >> 13); }

// Writes what may be written; the sizes differ, so that records are cut everywhere.
static size_t write_some(struct pair *pair, size_t sent) {
  uint8_t record[RECORD];
  CHECK(dp_pipe_send(pair->pipe));
  if (dp_pipe_waits(pair->pipe)) return sent;
  dp_pipe_collect(pair->pipe, room);
  for (int i = 0; i < 7 && sent < TOTAL && !dp_pipe_waits(pair->pipe); i++) {
    size_t length = 1 + (sent * 31 + (size_t)i * 977) % RECORD;
    if (length > TOTAL - sent) length = TOTAL - sent;
    for (size_t k = 0; k < length; k++) record[k] = byte_at(sent + k);
    CHECK(SSL_write(pair->near, record, (int)length) == (int)length);
    sent += length;
  }
  CHECK(dp_pipe_send(pair->pipe));
  return sent;
}

static size_t read_some(struct pair *pair, size_t received) {
  uint8_t bytes[3000];
  int got = SSL_read(pair->far, bytes, sizeof bytes);
  if (got <= 0) CHECK(SSL_get_error(pair->far, got) == SSL_ERROR_WANT_READ);
  for (int k = 0; k < got; k++) CHECK(bytes[k] == byte_at(received + (size_t)k));
  return received + (size_t)(got > 0 ? got : 0);
}

static void all_arrives_in_order_while_keys_change(void) {
  struct pair pair;
  size_t sent = 0, received = 0, waited = 0, turns = 0, updates = 0;
  uint8_t byte;
  open_pair(&pair);
  for (; received < TOTAL; turns++) {
    sent = write_some(&pair, sent);
    waited += dp_pipe_waits(pair.pipe);
    CHECK(pair.pool.held <= DP_PIPE_KEPT);
    received = read_some(&pair, received);
    if (turns % 5 != 0) continue;
    // What is asked for here is answered there, mostly while something waits.
    updates += SSL_key_update(pair.far, SSL_KEY_UPDATE_REQUESTED) == 1;
    CHECK(SSL_do_handshake(pair.far) == 1);
    CHECK(SSL_read(pair.near, &byte, 1) < 0 && SSL_want_read(pair.near));
  }
  CHECK(waited > turns / 2 && updates > 100);
  CHECK(!dp_pipe_waits(pair.pipe) && pair.pool.held == 0);
  CHECK(pair.pipe->taken > TOTAL);
  close_pair(&pair);
}

static void who_has_us_answer_and_does_not_read_is_left(void) {
  struct pair pair;
  uint8_t byte;
  int result = -1;
  open_pair(&pair);
  for (int i = 0; i < MANY_UPDATES; i++) {
    CHECK(SSL_key_update(pair.far, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(pair.far) == 1);
    result = SSL_read(pair.near, &byte, 1);
    CHECK(pair.pool.held <= DP_PIPE_KEPT);
    if (SSL_get_error(pair.near, result) != SSL_ERROR_WANT_READ) break;
  }
  CHECK(SSL_get_error(pair.near, result) == SSL_ERROR_SYSCALL && errno == ENOBUFS);
  close_pair(&pair);
  ERR_clear_error();
}

static void a_socket_that_is_gone_is_an_error(void) {
  struct pair pair;
  open_pair(&pair);
  CHECK(shutdown(pair.fds[0], SHUT_RDWR) == 0);
  dp_pipe_collect(pair.pipe, room);
  CHECK(SSL_write(pair.near, "x", 1) == 1);
  CHECK(!dp_pipe_send(pair.pipe) && errno == EPIPE);
  CHECK(SSL_write(pair.near, "x", 1) < 0 && errno == EPIPE);
  close_pair(&pair);
  ERR_clear_error();
}

int main(void) {
  make_identity();
  all_arrives_in_order_while_keys_change();
  who_has_us_answer_and_does_not_read_is_left();
  a_socket_that_is_gone_is_an_error();
  X509_free(certificate);
  EVP_PKEY_free(key);
  puts("ok");
  return 0;
}
