#include "link.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/segment.h"
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  RECORD = 16384,
  SMALL_RECORD = 4096,
  SLOW_UNSENT = 80 * 1024,      // a link on which they matter: 16 MB/s
  BATCH = 80 * 1024,            // sent in one go, or with less than this once more is read: a burst of a host, cut for 1,280 bytes, has 69 KB
  READ_AT_ONCE = 128 * 1024,    // before its frames are given to the sink; and what may stay for the next turn
  LONE = 2048,                  // less than this by itself is delivered at once, and the socket is not read again
};

static const uint64_t MINUTE = 60000000000;  // nanoseconds

bool dp_workspace_init(struct dp_workspace *workspace, uint64_t queued) {
  *workspace = (struct dp_workspace){
      .in = malloc(DP_IN_BYTES), .out = malloc(DP_OUT_BYTES), .records = malloc(DP_PIPE_ROOM)};
  dp_pool_init(&workspace->pool, queued);
  dp_pool_init(&workspace->buffers, UINT64_MAX);
  if (workspace->in != NULL && workspace->out != NULL && workspace->records != NULL) return true;
  dp_workspace_free(workspace);
  return false;
}

void dp_workspace_free(struct dp_workspace *workspace) {
  free(workspace->in);
  free(workspace->out);
  free(workspace->records);
  dp_pool_free(&workspace->pool);
  dp_pool_free(&workspace->buffers);
  *workspace = (struct dp_workspace){0};
}

void dp_link_init(struct dp_link *link, SSL *ssl, int fd, struct dp_workspace *workspace, struct dp_counters *counters) {
  *link = (struct dp_link){
      .ssl = ssl, .fd = fd, .pipe = dp_pipe_of(ssl), .wire = dp_tls_wire(ssl), .workspace = workspace, .counters = counters, .out = workspace->out,
      .queue_limit = DP_FQ_LIMIT};
  dp_socket_prepare(fd, &link->pace);
  dp_socket_know_path(fd, &link->pace);
  link->releases = (SSL_get_mode(ssl) & SSL_MODE_RELEASE_BUFFERS) != 0;
  dp_pipe_hold(link->pipe, &workspace->buffers);
}

// An idle connection has no buffers of OpenSSL's, if its owner wants that; between two records they would be freed and allocated for nothing.
static void keep_buffers(struct dp_link *link, bool keep) {
  if (!link->releases || keep == link->keeps) return;
  link->keeps = keep;
  if (keep) SSL_clear_mode(link->ssl, SSL_MODE_RELEASE_BUFFERS);
  else SSL_set_mode(link->ssl, SSL_MODE_RELEASE_BUFFERS);
}

static void unpark(struct dp_link *link) {
  dp_pool_give(&link->workspace->buffers, link->parked, link->out_end);
  link->parked = NULL;
}

void dp_link_free(struct dp_link *link) {
  if (link->workspace != NULL) {
    if (link->workspace->writer == link) link->workspace->writer = NULL;
    dp_pipe_release(link->pipe);
    unpark(link);
    dp_pool_give(&link->workspace->buffers, link->carry, link->carry_length);
  }
  dp_fq_free(link->queue);
  *link = (struct dp_link){.fd = -1};
}

// Moves unsent bytes out of the shared workspace. Without memory for them the link ends with its next flush, and sends nothing until then.
static void park(struct dp_link *link) {
  size_t length = link->out_end - link->out_start;
  link->workspace->writer = NULL;
  if (length == 0) return;
  link->parked = dp_pool_need(&link->workspace->buffers, length);
  if (link->parked != NULL) memcpy(link->parked, link->out + link->out_start, length);
  else link->lost = true;
  link->out = link->parked;
  link->out_start = 0;
  link->out_end = link->lost ? 0 : length;
}

// Assigns the workspace's `out` to this link, which has no unsent bytes.
static void take_workspace(struct dp_link *link) {
  struct dp_link *writer = link->workspace->writer;
  if (writer != NULL && writer != link) park(writer);
  unpark(link);
  link->out = link->workspace->out;
  link->out_start = link->out_end = 0;
  link->workspace->writer = link;
}

uint64_t dp_link_taken(const struct dp_link *link) {
  return link->pipe != NULL ? link->pipe->taken : BIO_number_written(SSL_get_wbio(link->ssl));
}

bool dp_link_waiting(const struct dp_link *link) {
  bool queued = link->urgent_length > 0 || (link->queue != NULL && link->queue->blocks > 0);
  return dp_pipe_waits(link->pipe) || link->out_start < link->out_end || queued || link->lost;
}

bool dp_link_wants_write(const struct dp_link *link) { return (link->blocked && !link->read_first) || link->read_blocked; }

static enum dp_status fail(struct dp_link *link, int result) {
  if (SSL_get_error(link->ssl, result) == SSL_ERROR_ZERO_RETURN) return DP_CLOSED;
  dp_tls_reason(link->ssl, result, link->reason);
  return DP_BROKEN;
}

static bool would_block(const struct dp_link *link, int result) {
  int error = SSL_get_error(link->ssl, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static enum dp_status break_off(struct dp_link *link, const char *reason) {
  snprintf(link->reason, DP_REASON, "%s", reason);
  return DP_BROKEN;
}

static enum dp_status fail_to_send(struct dp_link *link) { return break_off(link, strerrorname_np(errno) ?: "?"); }

static enum dp_status block(struct dp_link *link) {
  link->blocked = true;
  dp_add(&link->counters->socket_full, 1);
  return DP_BLOCKED;
}

// Writes the next record of `out` to OpenSSL.
static enum dp_status write_record(struct dp_link *link, size_t most) {
  size_t left = link->out_end - link->out_start, length = left < most ? left : most;
  if (link->attempt > 0) length = link->attempt;
  keep_buffers(link, length < left);
  int written = SSL_write(link->ssl, link->out + link->out_start, (int)length);
  if (written <= 0) {
    if (!would_block(link, written)) return fail(link, written);
    link->attempt = length;
    link->read_first = SSL_want_read(link->ssl);
    return block(link);
  }
  link->attempt = 0;
  link->out_start += (size_t)written;
  dp_add(&link->counters->sent_records, 1);
  return DP_DONE;
}

static enum dp_status write_out(struct dp_link *link) {
  size_t record = link->small_records && link->pace.unsent <= SLOW_UNSENT ? SMALL_RECORD : RECORD;
  for (;;) {
    if (!dp_pipe_send(link->pipe)) return fail_to_send(link);
    if (dp_pipe_waits(link->pipe)) return block(link);
    if (link->out_start == link->out_end) break;
    dp_pipe_collect(link->pipe, link->workspace->records);
    while (link->out_start < link->out_end && !dp_pipe_waits(link->pipe)) {
      enum dp_status status = write_record(link, record);
      // What is collected lies in memory that all links share.
      if (status == DP_BLOCKED && !dp_pipe_send(link->pipe)) return fail_to_send(link);
      if (status != DP_DONE) return status;
    }
  }
  if (link->workspace->writer == link) link->workspace->writer = NULL;
  return DP_DONE;
}

// How much to give to the socket at once: on a slow path no more than may wait in it unsent, so that new flows are sent soon.
static size_t useful(const struct dp_link *link) {
  return link->pace.unsent < BATCH ? (size_t)link->pace.unsent : BATCH;
}

// Fills `out` from the queue; 0 if that is empty.
static size_t refill(struct dp_link *link, uint64_t now) {
  size_t length = link->urgent_length;
  memcpy(link->out, link->urgent, length);
  link->urgent_length = 0;
  if (link->queue != NULL)
    length += dp_fq_take(link->queue, link->out + length, useful(link), DP_OUT_BYTES - DP_URGENT_BYTES, now);
  return length;
}

enum dp_status dp_link_flush(struct dp_link *link, uint64_t now) {
  if (link->lost) return break_off(link, "out of memory");
  ERR_clear_error();
  link->blocked = link->read_first = false;
  for (;;) {
    enum dp_status status = write_out(link);
    if (status == DP_BLOCKED) dp_socket_adapt_unsent(link->fd, &link->pace, now);
    if (status != DP_DONE) return status;
    if (!dp_link_waiting(link)) break;
    take_workspace(link);
    link->out_end = refill(link, now);
  }
  unpark(link);
  link->out = link->workspace->out;
  link->out_start = link->out_end = 0;
  return DP_DONE;
}

uint8_t *dp_link_room(struct dp_link *link, size_t *wanted) {
  if (link->blocked || dp_link_waiting(link)) return NULL;
  take_workspace(link);
  *wanted = useful(link);
  return link->out;
}

void dp_link_commit(struct dp_link *link, size_t length) { link->out_end = length; }

static struct dp_fq *new_queue(struct dp_link *link) {
  struct dp_fq *queue = dp_fq_new(link->counters, &link->workspace->pool);
  if (queue == NULL) return NULL;
  queue->limit = link->queue_limit;
  if (link->group != NULL) queue->share.group = link->group;
  return queue;
}

void dp_link_queue(struct dp_link *link, const uint8_t *frames, uint32_t length, uint32_t hash, uint64_t now) {
  if (link->queue == NULL) link->queue = new_queue(link);
  if (link->queue == NULL) dp_add(&link->counters->out_overflow, 1);
  else dp_fq_put(link->queue, frames, length, hash, now);
}

// Room to build so many bytes of frames in place: only if nothing of this link waits, and no other link uses the workspace. NULL: use the
// queue.
static uint8_t *direct_room(struct dp_link *link, size_t size) {
  struct dp_workspace *workspace = link->workspace;
  bool queued = link->urgent_length > 0 || (link->queue != NULL && link->queue->blocks > 0);
  if (link->blocked || queued || link->lost || dp_pipe_waits(link->pipe)) return NULL;
  if (workspace->writer != link) {
    if (workspace->writer != NULL || link->out_start < link->out_end) return NULL;
    take_workspace(link);
  }
  return dp_link_full(link) || DP_OUT_BYTES - link->out_end < size ? NULL : link->out + link->out_end;
}

bool dp_link_full(const struct dp_link *link) {
  return link->workspace->writer == link && link->out_end - link->out_start >= useful(link);
}

static void pass_on(struct dp_link *link, const uint8_t *frames, uint32_t length, uint32_t hash, uint64_t now) {
  uint8_t *room = direct_room(link, length);
  if (room == NULL) {
    dp_link_queue(link, frames, length, hash, now);
    return;
  }
  memcpy(room, frames, length);
  link->out_end += length;
}

// The segments of a packet. Returns how many.
static uint32_t pass_segments(struct dp_link *link, const struct dp_frame *frame, uint32_t hash, uint64_t now) {
  uint8_t cut[2 * 65536], *room = direct_room(link, dp_segmented_size(frame->length, &frame->headers, frame->segment));
  uint32_t count = 1;
  size_t capacity = room != NULL ? DP_OUT_BYTES - link->out_end : sizeof cut;
  size_t size = dp_segment(frame->packet, frame->length, &frame->headers, frame->segment, room != NULL ? room : cut, capacity, &count);
  if (size == 0) dp_add(&link->counters->out_too_long, 1);
  else if (room != NULL) link->out_end += size;
  else dp_link_queue(link, cut, (uint32_t)size, hash, now);
  return count;
}

void dp_link_forward(struct dp_link *link, struct dp_frame *frame, uint64_t now) {
  uint32_t hash = dp_flow_hash(frame->packet, frame->length), count = 1;
  bool special = frame->partial || frame->gso != DP_GSO_NONE;
  if (!special || link->wire == DP_WIRE_SUPER) {
    // The received frame's header lies right before its packet.
    uint32_t header = special ? WIRE_FRAME_HEADER_LENGTH + WIRE_SUPER_HEADER_LENGTH : WIRE_FRAME_HEADER_LENGTH;
    uint8_t *at = frame->packet - header;
    if (special) dp_super_header(at, frame->length, frame->partial, frame->gso, frame->segment);
    else dp_put16(at, (uint16_t)frame->length);
    pass_on(link, at, header + frame->length, hash, now);
  } else if (frame->gso == DP_GSO_NONE) {
    dp_checksum_complete(frame->packet, frame->length, frame->headers.transport, dp_checksum_offset(frame->headers.protocol));
    frame->partial = false;
    dp_put16(frame->packet - WIRE_FRAME_HEADER_LENGTH, (uint16_t)frame->length);
    pass_on(link, frame->packet - WIRE_FRAME_HEADER_LENGTH, WIRE_FRAME_HEADER_LENGTH + frame->length, hash, now);
  } else {
    count = pass_segments(link, frame, hash, now);
  }
  dp_add(&link->counters->sent_packets, count);
  dp_add(&link->counters->sent_bytes, frame->length);
}

bool dp_link_urgent(struct dp_link *link, const uint8_t *packet, uint32_t length) {
  if (length + WIRE_FRAME_HEADER_LENGTH > DP_URGENT_BYTES - link->urgent_length) return false;
  dp_put16(link->urgent + link->urgent_length, (uint16_t)length);
  memcpy(link->urgent + link->urgent_length + WIRE_FRAME_HEADER_LENGTH, packet, length);
  link->urgent_length += WIRE_FRAME_HEADER_LENGTH + length;
  return true;
}

void dp_link_drop(struct dp_link *link) {
  dp_fq_free(link->queue);
  link->queue = NULL;
}

void dp_link_trim(struct dp_link *link) {
  if (link->queue != NULL && link->queue->blocks == 0) dp_link_drop(link);
}

// What a turn has read: the frames before `given` were given to the sink, which may use them until its batch ends.
struct batch {
  uint8_t *in;
  size_t given, length;
};

// Gives the whole frames that were read to the sink. DP_DONE unless reading must end, DP_AGAIN if the turn does.
static enum dp_status parse(struct dp_link *link, struct batch *batch, const struct dp_sink *sink, struct dp_turn *turn) {
  enum dp_status status = DP_DONE;
  uint32_t packets = 0;
  while (status == DP_DONE) {
    uint8_t *at = batch->in + batch->given;
    struct dp_frame frame;
    size_t size = 0;
    enum dp_frame_state state = dp_frame_read(link->wire, at, batch->length - batch->given, &frame, &size);
    if (state == DP_FRAME_TORN) break;
    if (state == DP_FRAME_OVERSIZED) {
      snprintf(link->reason, DP_REASON, "%u", dp_get16(at));
      return DP_OVERSIZED;
    }
    if (dp_turn_is_over(turn, packets)) return DP_AGAIN;
    packets = state == DP_FRAME_WHOLE ? dp_segments(&frame) : 1;
    if (state == DP_FRAME_BAD) dp_add(&link->counters->in_malformed, 1);
    if (state == DP_FRAME_WHOLE && !sink->packet(sink->owner, &frame)) status = DP_STOPPED;
    batch->given += size;
  }
  return status;
}

// The sink is done with the memory: what it was not given moves to the front.
static void end_batch(struct batch *batch, const struct dp_sink *sink) {
  sink->end(sink->owner);
  batch->length -= batch->given;
  if (batch->given > 0 && batch->length > 0) memmove(batch->in, batch->in + batch->given, batch->length);
  batch->given = 0;
}

static size_t restore_carry(struct dp_link *link) {
  size_t length = link->carry_length;
  if (length > 0) memcpy(link->workspace->in, link->carry, length);
  dp_pool_give(&link->workspace->buffers, link->carry, length);
  link->carry = NULL;
  link->carry_length = 0;
  return length;
}

// Keeps the beginning of a frame, or frames that are left for the next turn: less than READ_AT_ONCE and a record, all of them received.
static bool keep_carry(struct dp_link *link, size_t length) {
  if (length == 0) return true;
  link->carry = dp_pool_need(&link->workspace->buffers, length);
  if (link->carry == NULL) return false;
  memcpy(link->carry, link->workspace->in, length);
  link->carry_length = length;
  return true;
}

// A message of TLS has come instead of data. Each costs more than a record, and many of them an answer.
static enum dp_status count_message(struct dp_link *link) {
  uint64_t now = dp_now(), saved = now > MINUTE ? now - MINUTE : 0;
  if (link->messages_until < saved) link->messages_until = saved;
  link->messages_until += MINUTE / DP_MESSAGES;
  if (link->messages_until <= now) return DP_AGAIN;
  snprintf(link->reason, DP_REASON, "more than %d TLS messages in a minute", DP_MESSAGES);
  return DP_BROKEN;
}

// Calls SSL_read once. DP_DONE: the socket has no more; DP_AGAIN: it may have.
static enum dp_status read_record(struct dp_link *link, struct batch *batch) {
  keep_buffers(link, dp_pipe_has_another(link->pipe));
  int got = SSL_read(link->ssl, batch->in + batch->length, (int)(DP_IN_BYTES - batch->length));
  if (got > 0) {
    batch->length += (size_t)got;
    dp_add(&link->counters->received_records, 1);
    // Most likely there is no more, and epoll reports it otherwise: saves a system call.
    bool lone = got < LONE && !SSL_has_pending(link->ssl) && !dp_pipe_has_more(link->pipe);
    return lone ? DP_DONE : DP_AGAIN;
  }
  if (!would_block(link, got)) return fail(link, got);
  link->read_blocked = SSL_want_write(link->ssl);
  if (link->read_blocked || dp_pipe_is_starved(link->pipe)) return DP_DONE;
  return dp_pipe_is_spent(link->pipe) ? DP_AGAIN : count_message(link);
}

// Is there room for a record behind what was read?
static bool has_room(const struct batch *batch) { return DP_IN_BYTES - batch->length >= RECORD; }

// Reads some records, or what there is. How reading ended is known until all frames before were given to the sink.
static enum dp_status read_some(struct dp_link *link, struct batch *batch, struct dp_turn *turn) {
  enum dp_status status = link->end == DP_DONE ? DP_AGAIN : link->end;
  while (status == DP_AGAIN && has_room(batch) && batch->length - batch->given < READ_AT_ONCE && !dp_pipe_is_spent(link->pipe) &&
         !dp_turn_is_over(turn, 1))
    status = read_record(link, batch);
  if (status == DP_CLOSED || status == DP_BROKEN) link->end = status;
  return status;
}

enum dp_status dp_link_receive(struct dp_link *link, const struct dp_sink *sink, uint64_t now) {
  struct dp_turn turn = dp_turn_begin(dp_now());
  struct batch batch = {.in = link->workspace->in, .length = restore_carry(link)};
  enum dp_status read = DP_AGAIN, parsed = DP_DONE;
  size_t total = 0;
  if (link->lost) return break_off(link, "out of memory");
  ERR_clear_error();
  dp_pipe_allow(link->pipe, DP_TURN_RECORDS, DP_TURN_BYTES, turn.until);
  while (parsed == DP_DONE && read == DP_AGAIN) {
    // The more the sink gets before its batch ends, the more it can join.
    if (!has_room(&batch)) end_batch(&batch, sink);
    size_t before = batch.length;
    read = read_some(link, &batch, &turn);
    total += batch.length - before;
    parsed = parse(link, &batch, sink, &turn);
    bool more = parsed == DP_DONE && read == DP_AGAIN;
    if (more && (dp_pipe_is_spent(link->pipe) || dp_now() >= turn.until)) break;
  }
  end_batch(&batch, sink);
  // The answer to a key update may wait because the socket is full.
  if (dp_pipe_waits(link->pipe)) link->blocked = true;
  if (total > 0) dp_socket_adapt_receive(link->fd, &link->pace, total, now);
  if (parsed == DP_OVERSIZED || parsed == DP_STOPPED) return parsed;
  if (parsed == DP_DONE && link->end != DP_DONE) return link->end;
  if (!keep_carry(link, batch.length)) return break_off(link, "out of memory");
  return parsed == DP_AGAIN ? DP_AGAIN : read;
}
