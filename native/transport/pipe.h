// OpenSSL's BIO: a socket, and a buffer for what the socket did not take.
//
// After the handshake a write never blocks inside OpenSSL. A record that is half sent there would block OpenSSL's own messages: the answer
// to a key update could not be sent, and the connection would end. The buffer also lets several records be sent in one call.
//
// OpenSSL is given one record at a time. If it has more it moves all of that to the front of its buffer after each record: with the short
// records of a C peer that took a third of a router's time.
#pragma once
#include "pool.h"
#include <openssl/ssl.h>
#include <stdbool.h>

enum {
  DP_PIPE_ROOM = 144 * 1024,  // records that are sent together: two bursts of a host
  DP_PIPE_KEPT = 192 * 1024,  // at most: a peer that causes more makes us answer and does not read
  DP_PIPE_AHEAD = 128 * 1024, // read at once, beyond the record at hand
  DP_PIPE_HEADER = 5,         // of a TLS record
};

struct dp_pipe {
  int fd;
  struct dp_pool *pool;  // of `kept` and `ahead`; NULL: writes wait, as the handshake expects it
  uint8_t *kept;         // records, or the end of one, that the socket did not take
  size_t kept_start, kept_end;
  uint8_t *room;         // of the thread, while records are collected
  size_t collected;
  uint64_t taken;        // bytes that the socket took
  size_t record_left;    // of the record that OpenSSL reads; 0: a header comes next
  uint8_t *ahead;        // read beyond that record; NULL: that is in `header`
  size_t ahead_start, ahead_end;
  uint8_t header[DP_PIPE_HEADER];
  uint32_t records_left;  // of what OpenSSL may have
  size_t bytes_left;
  uint64_t until;
  bool spent, starved;
};

// Connects `ssl` with the socket, which stays the caller's. False without memory.
bool dp_pipe_attach(SSL *ssl, int fd);
// NULL with kernel TLS: OpenSSL uses the socket itself then. All functions below accept NULL.
struct dp_pipe *dp_pipe_of(const SSL *ssl);
// OpenSSL gets so many further records and bytes of them, and none that begins after `until` (dp_now()): whatever it does with them, it
// returns then and says that it wants to read. A record that was begun is passed on whole. Without a call there is no limit.
void dp_pipe_allow(struct dp_pipe *pipe, uint32_t records, size_t bytes, uint64_t until);
// Did OpenSSL want more than that? There may be more, and epoll does not report what lies ahead.
bool dp_pipe_is_spent(const struct dp_pipe *pipe);
// Did the socket have no more? Without a pipe nobody knows, and epoll reports it: true.
bool dp_pipe_is_starved(const struct dp_pipe *pipe);
// From now on writes never block.
void dp_pipe_hold(struct dp_pipe *pipe, struct dp_pool *pool);
// Gives the buffers back to the pool. Nothing may be written after that.
void dp_pipe_release(struct dp_pipe *pipe);
// Collects what is written in `room`, of DP_PIPE_ROOM bytes, until dp_pipe_send().
void dp_pipe_collect(struct dp_pipe *pipe, uint8_t *room);
// Sends what was kept and collected, as far as the socket takes it, and keeps the rest. False with an errno if the connection is broken.
bool dp_pipe_send(struct dp_pipe *pipe);
// Is something kept? The socket is full then.
bool dp_pipe_waits(const struct dp_pipe *pipe);
// Has a record, or its beginning, been read that OpenSSL does not have yet? epoll does not report that.
bool dp_pipe_has_more(const struct dp_pipe *pipe);
// Does that include something behind the record that OpenSSL gets next?
bool dp_pipe_has_another(const struct dp_pipe *pipe);
