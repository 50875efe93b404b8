// The agent's loop: one TUN, at most one connection to a router, everything in one thread. dp_thread.h runs it and lets another thread
// give orders; a router has a loop of its own over the same parts (dp_link.h).
#pragma once
#include "dataplane/egress.h"
#include "dataplane/heartbeat.h"
#include "dataplane/ingress.h"
#include "dataplane/link.h"

// The longest that is told: it leaves the next heartbeat its room (DP_URGENT_BYTES).
enum { DP_NOTE = 71 };

struct dp_rules {
  struct dp_filter filter;
  uint32_t heartbeat_period_ms, heartbeat_timeout_ms;
};

// A connection to be made over a connected socket, as whom and to whom.
struct dp_order {
  uint32_t id;
  int fd;  // belongs to the order
  uint32_t timeout_ms;  // for the handshake
  bool super;           // may super-frames be offered?
  char *roots, *key;    // PEM
  char *names;          // one in each line, of which the server's certificate has to have one; "": none is checked
  uint8_t *certificate;  // DER
  size_t certificate_length;
};

// Takes the order and its socket; wipes the key.
void dp_order_free(struct dp_order *order);

enum dp_event_kind {
  DP_EVENT_UP,       // the peer has answered; text: its address, number: enum dp_wire
  DP_EVENT_VERDICT,  // number: seconds, verdict: kind
  DP_EVENT_ASKED,    // the peer wants to know of us; once at most, perhaps before it answers
  DP_EVENT_TUN_LOST,  // of no connection; text: the errno's name
  // The connection is over; text says more.
  DP_EVENT_BAD_ROOT,
  DP_EVENT_BAD_CREDENTIALS,
  DP_EVENT_UNTRUSTED,    // the server's certificate does not convince
  DP_EVENT_CLOCK,        // nor does it by this device's clock
  DP_EVENT_HANDSHAKE,    // failed otherwise; number: 1 if its time was over
  DP_EVENT_CLOSED,       // by the peer; number: 1 if it had answered before
  DP_EVENT_BROKEN,       // text: an errno's name, or OpenSSL's reason
  DP_EVENT_OVERSIZED,    // text: the length
  DP_EVENT_SILENT,       // number: 1 if it had answered before
  DP_EVENT_LOCAL,        // of no connection: a packet for who serves the link; comes by `local`
};

struct dp_event {
  enum dp_event_kind kind;
  uint32_t connection;  // the order's id
  uint32_t number;
  uint8_t verdict;
  char text[DP_REASON];
};

struct dp_connection {
  uint32_t id;
  int fd;
  SSL *ssl;
  bool established, answered, asked, wants_write;
  uint64_t handshake_by;
  struct dp_silence silence;
  struct dp_link link;
};

struct dp_agent {
  struct dp_rules rules;
  struct dp_counters *counters;
  void *owner;
  void (*report)(void *owner, const struct dp_event *event);
  // A packet for who serves the link; NULL if nobody does.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
  // Called in the loop when the wake descriptor was written to; returns false to end the loop.
  bool (*orders)(void *owner, struct dp_agent *agent);

  struct dp_tun tun;
  struct dp_egress egress;
  struct dp_ingress ingress;
  struct dp_workspace workspace;
  uint8_t *spare;  // one packet of the TUN while the socket is full
  struct dp_tls_client client;
  struct dp_order *identity;  // whose certificate and key the client has
  struct dp_connection connection;
  bool connected, tun_lost, read_again;
  bool lone;  // the TUN had one packet last time
  uint64_t turn, tun_turn;  // of the loop; the last one in which the TUN had some
  uint32_t socket_events;
  int epoll, wake;
};

// Everything of `agent` up to `orders` is set, and so are tun.fd and tun.offload; `wake` is an eventfd. 0 or an errno.
int dp_agent_init(struct dp_agent *agent);
// Closes the connection; the TUN and `wake` stay the caller's.
void dp_agent_free(struct dp_agent *agent);
// Runs until `orders` returns false.
void dp_agent_run(struct dp_agent *agent);
// Ends whatever connection there is without a report, and begins this one.
void dp_agent_connect(struct dp_agent *agent, struct dp_order *order);
// The same with a connection whose handshake is set up otherwise, a server's for instance.
void dp_agent_adopt(struct dp_agent *agent, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms);
// Ends the connection in order, without a report.
void dp_agent_disconnect(struct dp_agent *agent);
// Sends a control message of at most DP_NOTE bytes over connection `id`, if that has asked for one.
void dp_agent_tell(struct dp_agent *agent, uint32_t id, const uint8_t *packet, uint32_t length);
// A heartbeat at once, with less patience than usual.
void dp_agent_probe(struct dp_agent *agent);

// Monotonic, in nanoseconds.
uint64_t dp_now(void);
// dp_connection.c, for the loop.
void dp_connection_handshake(struct dp_agent *agent, uint64_t now);
void dp_connection_receive(struct dp_agent *agent, uint64_t now);
void dp_connection_check_time(struct dp_agent *agent, uint64_t now);
uint64_t dp_connection_deadline(const struct dp_agent *agent);
// Closes it; in order only if the peer may still hear that.
void dp_connection_close(struct dp_agent *agent, bool orderly);
// Closes it and reports why.
void dp_connection_end(struct dp_agent *agent, enum dp_event_kind kind, uint32_t number, const char *text);
// What dp_link_receive or dp_link_flush returned may be the end. True if it is.
bool dp_connection_is_over(struct dp_agent *agent, enum dp_status status);
