#include "dp_pipe.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

// How much the socket took; -1 with an errno.
static ssize_t put(struct dp_pipe *pipe, const uint8_t *bytes, size_t length, bool more) {
  ssize_t sent;
  // Without MSG_MORE each call would end in a short segment.
  do sent = send(pipe->fd, bytes, length, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  while (sent < 0 && errno == EINTR);
  if (sent > 0) pipe->taken += (uint64_t)sent;
  return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static size_t kept(const struct dp_pipe *pipe) { return pipe->kept_end - pipe->kept_start; }

static void forget_kept(struct dp_pipe *pipe) {
  dp_pool_give(pipe->pool, pipe->kept, pipe->kept_end);
  pipe->kept = NULL;
  pipe->kept_start = pipe->kept_end = 0;
}

static bool keep(struct dp_pipe *pipe, const uint8_t *bytes, size_t length) {
  size_t before = kept(pipe), all = before + length;
  uint8_t *memory = all > DP_PIPE_KEPT ? NULL : dp_pool_need(pipe->pool, all);
  if (memory == NULL) {
    errno = ENOBUFS;
    return false;
  }
  if (before > 0) memcpy(memory, pipe->kept + pipe->kept_start, before);
  memcpy(memory + before, bytes, length);
  forget_kept(pipe);
  pipe->kept = memory;
  pipe->kept_end = all;
  return true;
}

static bool send_or_keep(struct dp_pipe *pipe, const uint8_t *bytes, size_t length, bool more) {
  ssize_t sent = pipe->kept != NULL ? 0 : put(pipe, bytes, length, more);
  if (sent < 0) return false;
  return (size_t)sent == length || keep(pipe, bytes + sent, length - (size_t)sent);
}

static bool send_collected(struct dp_pipe *pipe, bool more) {
  size_t length = pipe->collected;
  pipe->collected = 0;
  return length == 0 || send_or_keep(pipe, pipe->room, length, more);
}

static bool collect(struct dp_pipe *pipe, const uint8_t *bytes, size_t length) {
  if (pipe->collected + length > DP_PIPE_ROOM && !send_collected(pipe, true)) return false;
  if (pipe->kept != NULL || length > DP_PIPE_ROOM) return send_or_keep(pipe, bytes, length, true);
  memcpy(pipe->room + pipe->collected, bytes, length);
  pipe->collected += length;
  return true;
}

static int on_write(BIO *bio, const char *bytes, int length) {
  struct dp_pipe *pipe = BIO_get_data(bio);
  const uint8_t *from = (const uint8_t *)bytes;
  BIO_clear_retry_flags(bio);
  if (pipe->room != NULL) return collect(pipe, from, (size_t)length) ? length : -1;
  if (pipe->pool != NULL) return send_or_keep(pipe, from, (size_t)length, false) ? length : -1;
  ssize_t sent = put(pipe, from, (size_t)length, false);
  if (sent > 0) return (int)sent;
  if (sent == 0) BIO_set_retry_write(bio);
  return -1;
}

static int on_read(BIO *bio, char *bytes, int length) {
  struct dp_pipe *pipe = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t got = recv(pipe->fd, bytes, (size_t)length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return (int)got;
}

static long on_control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH;
}

static int on_free(BIO *bio) {
  OPENSSL_free(BIO_get_data(bio));
  BIO_set_data(bio, NULL);
  return 1;
}

static BIO_METHOD *method;

__attribute__((constructor)) static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "enf");
  if (method == NULL) return;
  BIO_meth_set_write(method, on_write);
  BIO_meth_set_read(method, on_read);
  BIO_meth_set_ctrl(method, on_control);
  BIO_meth_set_destroy(method, on_free);
}

bool dp_pipe_attach(SSL *ssl, int fd) {
  BIO *bio = method == NULL ? NULL : BIO_new(method);
  struct dp_pipe *pipe = bio == NULL ? NULL : OPENSSL_zalloc(sizeof *pipe);
  if (pipe == NULL) {
    BIO_free(bio);
    return false;
  }
  pipe->fd = fd;
  BIO_set_data(bio, pipe);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return true;
}

struct dp_pipe *dp_pipe_of(const SSL *ssl) {
  BIO *bio = SSL_get_wbio(ssl);
  return bio == NULL || BIO_method_type(bio) == BIO_TYPE_SOCKET ? NULL : BIO_get_data(bio);
}

void dp_pipe_hold(struct dp_pipe *pipe, struct dp_pool *pool) {
  if (pipe != NULL) pipe->pool = pool;
}

void dp_pipe_release(struct dp_pipe *pipe) {
  if (pipe == NULL || pipe->pool == NULL) return;
  forget_kept(pipe);
  pipe->pool = NULL;
  pipe->room = NULL;
}

void dp_pipe_collect(struct dp_pipe *pipe, uint8_t *room) {
  if (pipe != NULL) pipe->room = room;
}

bool dp_pipe_send(struct dp_pipe *pipe) {
  if (pipe == NULL) return true;
  bool fine = true;
  if (pipe->kept != NULL) {
    ssize_t sent = put(pipe, pipe->kept + pipe->kept_start, kept(pipe), pipe->collected > 0);
    if (sent > 0) pipe->kept_start += (size_t)sent;
    if (kept(pipe) == 0) forget_kept(pipe);
    fine = sent >= 0;
  }
  fine = fine && send_collected(pipe, false);
  pipe->room = NULL;
  pipe->collected = 0;
  return fine;
}

bool dp_pipe_waits(const struct dp_pipe *pipe) { return pipe != NULL && pipe->kept != NULL; }
