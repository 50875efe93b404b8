#include "pipe.h"
#include "packet/clock.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { RECORDS_TIMED = 8 };  // between two looks at the clock

_Static_assert(DP_PIPE_KEPT >= DP_PIPE_ROOM + SSL3_RT_MAX_PACKET_SIZE, "a full room and the record that finds it full may have to be kept");

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

static size_t ahead(const struct dp_pipe *pipe) { return pipe->ahead_end - pipe->ahead_start; }

static uint8_t *ahead_memory(struct dp_pipe *pipe) { return pipe->ahead != NULL ? pipe->ahead : pipe->header; }

// Moves what was read ahead to the beginning of `memory`, where it is kept from now on.
static void move_ahead(struct dp_pipe *pipe, uint8_t *memory) {
  size_t length = ahead(pipe);
  memmove(memory, ahead_memory(pipe) + pipe->ahead_start, length);
  if (pipe->ahead != memory) dp_pool_give(pipe->pool, pipe->ahead, DP_PIPE_AHEAD);
  pipe->ahead = memory == pipe->header ? NULL : memory;
  pipe->ahead_start = 0;
  pipe->ahead_end = length;
}

static size_t take_ahead(struct dp_pipe *pipe, uint8_t *bytes, size_t most) {
  size_t length = ahead(pipe) < most ? ahead(pipe) : most;
  memcpy(bytes, ahead_memory(pipe) + pipe->ahead_start, length);
  pipe->ahead_start += length;
  // So little may stay for long: an idle connection holds no buffer.
  if (ahead(pipe) < DP_PIPE_HEADER) move_ahead(pipe, pipe->header);
  return length;
}

// Reads `length` bytes, and behind them what there is; during the handshake no more than the next header. Less than a header lies ahead
// before that. Returns how much came of both.
static ssize_t receive(struct dp_pipe *pipe, uint8_t *bytes, size_t length) {
  uint8_t *memory = pipe->pool != NULL ? dp_pool_need(pipe->pool, DP_PIPE_AHEAD) : NULL;
  if (memory != NULL) move_ahead(pipe, memory);
  size_t room = (memory != NULL ? DP_PIPE_AHEAD : DP_PIPE_HEADER) - pipe->ahead_end;
  struct iovec parts[2] = {{bytes, length}, {ahead_memory(pipe) + pipe->ahead_end, room}};
  ssize_t got = readv(pipe->fd, parts, 2);
  int error = errno;
  if (got > (ssize_t)length) pipe->ahead_end += (size_t)got - length;
  if (ahead(pipe) < DP_PIPE_HEADER) move_ahead(pipe, pipe->header);
  errno = error;
  return got;
}

// Of the next record, whose header lies ahead.
static size_t record_length(const struct dp_pipe *pipe) {
  const uint8_t *header = (pipe->ahead != NULL ? pipe->ahead : pipe->header) + pipe->ahead_start;
  return DP_PIPE_HEADER + ((size_t)header[3] << 8 | header[4]);
}

static bool may_begin(struct dp_pipe *pipe) {
  bool late = pipe->records_left % RECORDS_TIMED == 0 && dp_now() >= pipe->until;
  pipe->spent = late || pipe->records_left == 0 || pipe->bytes_left == 0;
  return !pipe->spent;
}

// Learns how long the next record is. What it returns is that of receive(), if more had to be read.
static ssize_t begin_record(struct dp_pipe *pipe) {
  if (!may_begin(pipe)) {
    errno = EAGAIN;
    return -1;
  }
  while (ahead(pipe) < DP_PIPE_HEADER) {
    ssize_t got = receive(pipe, NULL, 0);
    if (got <= 0) return got;
  }
  pipe->record_left = record_length(pipe);
  pipe->records_left--;
  pipe->bytes_left -= pipe->record_left < pipe->bytes_left ? pipe->record_left : pipe->bytes_left;
  return 1;
}

// At most the rest of a record. Whatever a peer sends as a header, all of its bytes are passed on in their order.
static ssize_t read_record(struct dp_pipe *pipe, uint8_t *bytes, size_t length) {
  ssize_t begun = pipe->record_left > 0 ? 1 : begin_record(pipe);
  if (begun <= 0) return begun;
  size_t wanted = length < pipe->record_left ? length : pipe->record_left;
  // Not both in one call: OpenSSL calls again for the rest, and a second EAGAIN of the socket is saved.
  size_t taken = take_ahead(pipe, bytes, wanted);
  if (taken == 0) {
    ssize_t got = receive(pipe, bytes, wanted);
    if (got <= 0) return got;
    taken = (size_t)got < wanted ? (size_t)got : wanted;
  }
  pipe->record_left -= taken;
  return (ssize_t)taken;
}

static int on_read(BIO *bio, char *bytes, int length) {
  struct dp_pipe *pipe = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t got = read_record(pipe, (uint8_t *)bytes, (size_t)length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  pipe->starved = got < 0 && !pipe->spent;
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
  dp_pipe_allow(pipe, UINT32_MAX, SIZE_MAX, UINT64_MAX);
  BIO_set_data(bio, pipe);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return true;
}

struct dp_pipe *dp_pipe_of(const SSL *ssl) {
  BIO *bio = SSL_get_wbio(ssl);
  return bio == NULL || BIO_method_type(bio) == BIO_TYPE_SOCKET ? NULL : BIO_get_data(bio);
}

void dp_pipe_allow(struct dp_pipe *pipe, uint32_t records, size_t bytes, uint64_t until) {
  if (pipe == NULL) return;
  pipe->records_left = records;
  pipe->bytes_left = bytes;
  pipe->until = until;
  pipe->spent = pipe->starved = false;
}

bool dp_pipe_is_spent(const struct dp_pipe *pipe) { return pipe != NULL && pipe->spent; }

bool dp_pipe_is_starved(const struct dp_pipe *pipe) { return pipe == NULL || pipe->starved; }

void dp_pipe_hold(struct dp_pipe *pipe, struct dp_pool *pool) {
  if (pipe != NULL) pipe->pool = pool;
}

void dp_pipe_release(struct dp_pipe *pipe) {
  if (pipe == NULL || pipe->pool == NULL) return;
  forget_kept(pipe);
  dp_pool_give(pipe->pool, pipe->ahead, DP_PIPE_AHEAD);
  pipe->ahead = NULL;
  pipe->ahead_start = pipe->ahead_end = 0;
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

bool dp_pipe_has_more(const struct dp_pipe *pipe) { return pipe != NULL && ahead(pipe) > 0; }

bool dp_pipe_has_another(const struct dp_pipe *pipe) {
  if (pipe == NULL) return false;
  size_t held = ahead(pipe);
  if (pipe->record_left > 0) return held > pipe->record_left;
  return held > DP_PIPE_HEADER && held > record_length(pipe);
}
