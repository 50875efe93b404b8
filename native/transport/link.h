// One TLS connection as a stream of frames. A client's thread has one, a router's thread thousands.
//
// It knows neither TUN nor threads nor epoll. Its owner waits for the socket and calls dp_link_receive when it is readable,
// dp_link_flush when it is writable or something was given to send. All links of one thread share one dp_workspace; an idle
// link holds no buffer of its own.
//
// A router is meant to use it like this. Each of N threads has its own listening socket (SO_REUSEPORT), epoll, dp_workspace and
// links, which never leave their thread. It makes its SSL_CTX with TLS_server_method() and dp_tls_prepare(), adds
// SSL_MODE_RELEASE_BUFFERS, and does the handshake on the SSL itself (dp_tls_attach, SSL_accept) before dp_link_init. In the sink,
// `packet` gives each frame in the workspace's memory, valid until the callback `end` has returned: check the source with
// dp_egress() (its filter's `own` is the session's address), look up the destination, and
//   - the destination on this thread: dp_link_forward(), which brings the frame into the form that link's wire has, then dp_link_flush() once
//     per batch on every link that was given frames, and whenever one is full;
//   - on another thread: copy the frame's bytes from `frame->packet - 6` or `- 2` on (frame.h) into that thread's ring, wake it,
//     and let it do the same there;
//   - the host: dp_ingress_take() and, in `end`, dp_ingress_flush().
// dp_link_forward() never waits and never fails: fq_codel of the destination drops and counts what is too much, so that a slow device does
// not slow down the sender.
#pragma once
#include "fq.h"
#include "packet/frame.h"
#include "pipe.h"
#include "socket.h"
#include "tls.h"
#include "turn.h"

enum {
  DP_IN_BYTES = 384 * 1024,
  DP_OUT_BYTES = 256 * 1024,
  DP_URGENT_BYTES = 128,
  DP_MESSAGES = 60,  // of TLS that a peer may send in a minute: key updates, requests to renegotiate, tickets
};

struct dp_link;

// A thread's scratch memory.
struct dp_workspace {
  struct dp_link *writer;  // whose unsent bytes lie in `out`
  uint8_t *in, *out;
  uint8_t *records;        // records that are collected to be sent in one call
  struct dp_pool pool;     // of all queues
  struct dp_pool buffers;  // of everything else that a connection holds: it takes nothing from the queues
};

// At most `queued` bytes may wait in all queues together.
bool dp_workspace_init(struct dp_workspace *workspace, uint64_t queued);
void dp_workspace_free(struct dp_workspace *workspace);

enum dp_status {
  DP_DONE,       // nothing more to read now, or everything is sent
  DP_AGAIN,      // there may be more: call again after others had their turn, for epoll does not report what was read already
  DP_BLOCKED,    // the socket takes no more: wait until it is writable
  DP_CLOSED,     // the peer has ended the connection
  DP_BROKEN,     // the connection failed: `reason` says why
  DP_OVERSIZED,  // a frame is too long: `reason` has its length
  DP_STOPPED,    // the sink returned false
};

// Receives the frames. `packet` returns false to stop reading. `end` comes after each batch, before its memory is used again.
struct dp_sink {
  void *owner;
  bool (*packet)(void *owner, struct dp_frame *frame);
  void (*end)(void *owner);
};

struct dp_link {
  SSL *ssl;
  int fd;
  struct dp_pipe *pipe;  // below OpenSSL; NULL with kernel TLS
  enum dp_wire wire;
  bool small_records;  // on a slow path: the peer reads in a blocking way, so half a record would stall both its directions
  bool blocked;       // the socket is full; the owner clears it when epoll reports otherwise
  bool read_blocked;  // reading waits for the socket to be writable (a key update, without a pipe)
  bool read_first;    // sending waits for the rest of a message of TLS that the peer has begun
  bool lost;          // without memory for unsent bytes: its stream has a gap
  bool releases, keeps;  // OpenSSL is to free its buffers after a record; but not at the moment, since more follow
  enum dp_status end; // how reading ended, while frames that were read before are still to be given to the sink; else DP_DONE
  uint64_t messages_until;  // token bucket as a time: one message may come for each period from here to now
  struct dp_workspace *workspace;
  struct dp_counters *counters;
  struct dp_pace pace;
  struct dp_fq *queue;  // only once the socket was full
  uint32_t queue_limit;  // bytes that may wait in it
  struct dp_group *group;  // with which it shares the queues' memory; NULL: everyone
  uint8_t *out;         // unsent bytes: in the workspace, or `parked`
  uint8_t *parked;
  size_t out_start, out_end;
  size_t attempt;  // what SSL_write has to be called with again
  uint8_t *carry;  // the beginning of a frame
  size_t carry_length;
  size_t urgent_length;
  uint8_t urgent[DP_URGENT_BYTES];
  char reason[DP_REASON];
};

// After the handshake. The link owns neither `ssl` nor `fd`.
void dp_link_init(struct dp_link *link, SSL *ssl, int fd, struct dp_workspace *workspace, struct dp_counters *counters);
void dp_link_free(struct dp_link *link);
// Reads what is there, for a turn (turn.h) at most, and gives the frames to the sink.
enum dp_status dp_link_receive(struct dp_link *link, const struct dp_sink *sink, uint64_t now);
// Sends what waits: DP_DONE, DP_BLOCKED, DP_CLOSED or DP_BROKEN.
enum dp_status dp_link_flush(struct dp_link *link, uint64_t now);
// Room of DP_OUT_BYTES to build frames in place, if nothing waits; else NULL: dp_link_queue() them. `*wanted` is how much is useful.
uint8_t *dp_link_room(struct dp_link *link, size_t *wanted);
// Takes over so many bytes of frames in the room; flush then.
void dp_link_commit(struct dp_link *link, size_t length);
// Copies the frames of one packet into the queue. Never waits.
void dp_link_queue(struct dp_link *link, const uint8_t *frames, uint32_t length, uint32_t hash, uint64_t now);
// Forwards a received frame in the form that the link's wire has: as it is, or segmented and with complete checksums. The next flush sends
// it, directly if nothing waits, else through the queue.
void dp_link_forward(struct dp_link *link, struct dp_frame *frame, uint64_t now);
// True when the next frame that is forwarded would have to be queued: time for a flush.
bool dp_link_full(const struct dp_link *link);
// Sends a packet before everything that waits: a heartbeat, a control message. False if there is no room for it.
bool dp_link_urgent(struct dp_link *link, const uint8_t *packet, uint32_t length);
// Drops what waits in the queue. A frame of which a part is sent already is still sent whole.
void dp_link_drop(struct dp_link *link);
// Frees the queue if it is empty: a link may be idle for long.
void dp_link_trim(struct dp_link *link);
// How many bytes its socket has taken so far.
uint64_t dp_link_taken(const struct dp_link *link);
// True while something waits to be sent.
bool dp_link_waiting(const struct dp_link *link);
// Does it wait for the socket to be writable?
bool dp_link_wants_write(const struct dp_link *link);
