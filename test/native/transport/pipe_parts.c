// Between OpenSSL and a socket that takes little. Ends with a line "ok", or with what was wrong.
#include "tlspair.h"
#include <errno.h>

enum { RECORD = 16384, TOTAL = 2 << 20, MANY_UPDATES = 100000 };

static struct tlsidentity identity;
static uint8_t room[DP_PIPE_ROOM];

struct pair {
  struct tlspair tls;
  struct dp_pool pool, far_pool;
  struct dp_pipe *pipe, *far_pipe;
};

static void open_pair(struct pair *pair) {
  tlspair_open(&pair->tls, &identity);
  dp_pool_init(&pair->pool, 0);
  pair->pipe = dp_pipe_of(pair->tls.near);
  dp_pipe_hold(pair->pipe, &pair->pool);
  dp_pool_init(&pair->far_pool, 0);
  pair->far_pipe = dp_pipe_of(pair->tls.far);
  dp_pipe_hold(pair->far_pipe, &pair->far_pool);
}

static void close_pair(struct pair *pair) {
  dp_pipe_release(pair->pipe);
  dp_pipe_release(pair->far_pipe);
  CHECK(pair->pool.held == 0 && pair->far_pool.held == 0);
  dp_pool_free(&pair->pool);
  dp_pool_free(&pair->far_pool);
  tlspair_close(&pair->tls);
}

static uint8_t byte_at(size_t position) { return (uint8_t)(position * 2654435761u >> 13); }

// Writes what may be written; the sizes differ, so that records are cut everywhere. They may be more than the room takes.
static size_t write_some(struct pair *pair, size_t sent) {
  uint8_t record[RECORD];
  CHECK(dp_pipe_send(pair->pipe));
  if (dp_pipe_waits(pair->pipe)) return sent;
  dp_pipe_collect(pair->pipe, room);
  for (int i = 0; i < 20 && sent < TOTAL && !dp_pipe_waits(pair->pipe); i++) {
    size_t length = 1 + (sent * 2654435761u >> 7) % RECORD;
    if (length > TOTAL - sent) length = TOTAL - sent;
    for (size_t k = 0; k < length; k++) record[k] = byte_at(sent + k);
    CHECK(SSL_write(pair->tls.near, record, (int)length) == (int)length);
    sent += length;
  }
  CHECK(dp_pipe_send(pair->pipe));
  return sent;
}

static size_t read_some(struct pair *pair, size_t received) {
  uint8_t bytes[3000];
  int got = SSL_read(pair->tls.far, bytes, sizeof bytes);
  if (got <= 0) CHECK(SSL_get_error(pair->tls.far, got) == SSL_ERROR_WANT_READ);
  for (int k = 0; k < got; k++) CHECK(bytes[k] == byte_at(received + (size_t)k));
  return received + (size_t)(got > 0 ? got : 0);
}

static void all_arrives_in_order_while_keys_change(void) {
  struct pair pair;
  size_t sent = 0, received = 0, waited = 0, turns = 0, updates = 0, most = 0;
  uint8_t byte;
  open_pair(&pair);
  for (; received < TOTAL; turns++) {
    sent = write_some(&pair, sent);
    waited += dp_pipe_waits(pair.pipe);
    CHECK(pair.pool.held <= DP_PIPE_KEPT);
    if (pair.pool.held > most) most = pair.pool.held;
    received = read_some(&pair, received);
    if (turns % 5 != 0) continue;
    // What is asked for here is answered there, mostly while something waits.
    updates += SSL_key_update(pair.tls.far, SSL_KEY_UPDATE_REQUESTED) == 1;
    CHECK(SSL_do_handshake(pair.tls.far) == 1);
    CHECK(SSL_read(pair.tls.near, &byte, 1) < 0 && SSL_want_read(pair.tls.near));
  }
  CHECK(waited > turns / 2 && updates > 100 && most > DP_PIPE_ROOM - RECORD);
  CHECK(!dp_pipe_waits(pair.pipe) && pair.pool.held == 0);
  CHECK(read_some(&pair, received) == received);  // the last answer
  CHECK(!dp_pipe_has_more(pair.far_pipe) && pair.far_pool.held == 0);
  CHECK(pair.pipe->taken > TOTAL);
  close_pair(&pair);
}

// Of many records that the socket gives at once, OpenSSL has one after the other; who waits for the socket has to know of the others.
static void what_was_read_ahead_is_known(void) {
  enum { RECORDS = 10 };
  struct pair pair;
  uint8_t bytes[200];
  open_pair(&pair);
  for (int i = 0; i < RECORDS; i++) {
    memset(bytes, i, sizeof bytes);
    CHECK(SSL_write(pair.tls.near, bytes, sizeof bytes) == (int)sizeof bytes);
    CHECK(dp_pipe_send(pair.pipe));
  }
  for (int i = 0; i < RECORDS; i++) {
    CHECK(SSL_read(pair.tls.far, bytes, sizeof bytes) == (int)sizeof bytes && bytes[0] == i && bytes[199] == i);
    CHECK(!SSL_has_pending(pair.tls.far));
    CHECK(dp_pipe_has_more(pair.far_pipe) == (i < RECORDS - 1));
    CHECK(pair.far_pool.held == (i < RECORDS - 1 ? DP_PIPE_AHEAD : 0));
  }
  CHECK(SSL_read(pair.tls.far, bytes, 1) < 0 && SSL_want_read(pair.tls.far));
  close_pair(&pair);
  ERR_clear_error();
}

// The beginning of a record may be all there is for a long time; it holds no buffer.
static void torn_records_wait_without_memory(void) {
  struct pair pair;
  uint8_t record[700], bytes[700], wire[1000];
  open_pair(&pair);
  memset(record, 7, sizeof record);
  CHECK(SSL_read(pair.tls.far, bytes, 1) < 0 && SSL_want_read(pair.tls.far));  // the tickets
  for (size_t cut = 1; cut < 40; cut++) {
    CHECK(SSL_write(pair.tls.near, record, sizeof record) == (int)sizeof record);
    ssize_t whole = recv(pair.tls.fds[1], wire, sizeof wire, 0);
    CHECK(whole > 700);
    CHECK(send(pair.tls.fds[0], wire, cut, 0) == (ssize_t)cut);
    CHECK(SSL_read(pair.tls.far, bytes, sizeof bytes) < 0 && SSL_want_read(pair.tls.far));
    CHECK(pair.far_pool.held == 0 && (cut < DP_PIPE_HEADER || pair.far_pipe->record_left == (size_t)whole - cut));
    CHECK(send(pair.tls.fds[0], wire + cut, (size_t)whole - cut, 0) == whole - (ssize_t)cut);
    CHECK(SSL_read(pair.tls.far, bytes, sizeof bytes) == (int)sizeof record && bytes[0] == 7 && bytes[699] == 7);
    CHECK(pair.far_pool.held == 0);
  }
  close_pair(&pair);
  ERR_clear_error();
}

// Nothing that a peer sends as headers is lost or turned round on its way to OpenSSL.
static void bytes_that_are_no_records_pass_in_order(void) {
  struct pair pair;
  uint8_t sent[5000], got[5000];
  size_t length = 0;
  open_pair(&pair);
  for (size_t i = 0; i < sizeof sent; i++) sent[i] = byte_at(i);
  BIO *bio = SSL_get_rbio(pair.tls.far);
  CHECK(SSL_read(pair.tls.far, got, 1) < 0 && SSL_want_read(pair.tls.far));  // the tickets
  CHECK(send(pair.tls.fds[0], sent, sizeof sent, 0) == (ssize_t)sizeof sent);
  for (size_t i = 0; length < sizeof sent; i++) {
    size_t room = 1 + i * 37 % 900;
    if (room > sizeof got - length) room = sizeof got - length;
    int n = BIO_read(bio, got + length, (int)room);
    CHECK(n > 0);
    length += (size_t)n;
  }
  CHECK(memcmp(sent, got, sizeof sent) == 0);
  CHECK(BIO_read(bio, got, 1) < 0 && BIO_should_read(bio));
  CHECK(shutdown(pair.tls.fds[0], SHUT_WR) == 0);
  CHECK(BIO_read(bio, got, 1) == 0 && BIO_eof(bio));
  close_pair(&pair);
}

static void who_has_us_answer_and_does_not_read_is_left(void) {
  struct pair pair;
  uint8_t byte;
  int result = -1;
  open_pair(&pair);
  for (int i = 0; i < MANY_UPDATES; i++) {
    CHECK(SSL_key_update(pair.tls.far, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(pair.tls.far) == 1);
    result = SSL_read(pair.tls.near, &byte, 1);
    CHECK(pair.pool.held <= DP_PIPE_KEPT);
    if (SSL_get_error(pair.tls.near, result) != SSL_ERROR_WANT_READ) break;
  }
  CHECK(SSL_get_error(pair.tls.near, result) == SSL_ERROR_SYSCALL && errno == ENOBUFS);
  close_pair(&pair);
  ERR_clear_error();
}

static void a_socket_that_is_gone_is_an_error(void) {
  struct pair pair;
  open_pair(&pair);
  CHECK(shutdown(pair.tls.fds[0], SHUT_RDWR) == 0);
  dp_pipe_collect(pair.pipe, room);
  CHECK(SSL_write(pair.tls.near, "x", 1) == 1);
  CHECK(!dp_pipe_send(pair.pipe) && errno == EPIPE);
  CHECK(SSL_write(pair.tls.near, "x", 1) < 0 && errno == EPIPE);
  close_pair(&pair);
  ERR_clear_error();
}

int main(void) {
  identity = tlspair_identity();
  all_arrives_in_order_while_keys_change();
  what_was_read_ahead_is_known();
  torn_records_wait_without_memory();
  bytes_that_are_no_records_pass_in_order();
  who_has_us_answer_and_does_not_read_is_left();
  a_socket_that_is_gone_is_an_error();
  tlspair_forget(&identity);
  puts("ok");
  return 0;
}
