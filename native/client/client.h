// What the loop of the tunnel's client (loop.h) and its connection (connection.h) share.
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
  uint8_t *certificate;  // DER
  size_t certificate_length;
};

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
  DP_EVENT_HANDSHAKE,    // failed otherwise
  DP_EVENT_CLOSED,       // by the peer; number: 1 if it had answered before
  DP_EVENT_BROKEN,
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
