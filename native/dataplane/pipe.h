// What OpenSSL writes to and reads from: a socket, and the end of what the socket did not take.
//
// After the handshake a write never waits inside OpenSSL. A record that is half sent there would bar the way of its own messages: the
// answer to a key update could not leave, and the connection would end. It also lets several records leave in one call.
//
// OpenSSL gets one record at a time to read. Of what it has beyond that, it moves all to the front of its buffer for each record: with the
// short ones of a C peer, a third of a router's time.
#pragma once
#include "pool.h"
#include <openssl/ssl.h>
#include <stdbool.h>

enum {
  DP_PIPE_ROOM = 144 * 1024,  // records that leave together: two bursts of a host
  DP_PIPE_KEPT = 192 * 1024,  // at the most: with more, a peer makes us answer and does not read
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
};

// Lets `ssl` speak over the socket, which stays the caller's. False without memory.
bool dp_pipe_attach(SSL *ssl, int fd);
// NULL if the kernel does the TLS of this connection: OpenSSL has the socket for itself then. All functions below allow for it.
struct dp_pipe *dp_pipe_of(const SSL *ssl);
// From now on writes do not wait.
void dp_pipe_hold(struct dp_pipe *pipe, struct dp_pool *pool);
// Gives back to the pool what is the pool's. Nothing may be written after that.
void dp_pipe_release(struct dp_pipe *pipe);
// Collects what is written in `room`, of DP_PIPE_ROOM bytes, until dp_pipe_send().
void dp_pipe_collect(struct dp_pipe *pipe, uint8_t *room);
// Sends what was kept and collected, as far as the socket takes it, and keeps the rest. False with an errno if the connection is broken.
bool dp_pipe_send(struct dp_pipe *pipe);
// Is something kept? The socket is full then.
bool dp_pipe_waits(const struct dp_pipe *pipe);
// Has a record, or its beginning, been read that OpenSSL does not have yet? The socket does not tell of it.
bool dp_pipe_has_more(const struct dp_pipe *pipe);
