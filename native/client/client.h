// What the loop of the tunnel's client (loop.h) and its connection (connection.h) share.
#pragma once
#include "dataplane/egress.h"
#include "dataplane/heartbeat.h"
#include "dataplane/ingress.h"
#include "transport/link.h"

// The longest control message that is sent: it leaves the next heartbeat its room (DP_URGENT_BYTES).
enum { DP_MAX_CONTROL = WIRE_MAX_REPORT_LENGTH };

struct dp_rules {
  struct dp_filter filter;
  uint32_t heartbeat_period_ms, heartbeat_timeout_ms;
  bool shortened;  // may the router shorten them for its connections?
};

// How to make a connection over a connected socket: our identity, and which roots to trust.
struct dp_connect_options {
  uint32_t id;
  int fd;  // owned
  uint32_t timeout_ms;  // for the handshake
  bool super;           // may super-frames be offered?
  bool beside;          // the present connection goes on until this one has finished its handshake
  char *roots, *key;    // PEM
  EVP_PKEY *token_key;  // owned; a key in a PKCS#11 token instead of `key`, which is "" then; else NULL
  char *names;          // one in each line, of which the server's certificate must have one; "": none is checked
  uint8_t *certificate;  // DER
  size_t certificate_length;
};

// Each event's name in C and in JavaScript; client.ts says what it means. Those from BAD_ROOT on end the
// connection, except LOCAL; of a successor, up to HANDSHAKE, they end that alone. `text` and `number` are
// - UP: the peer's address; enum dp_wire
// - VERDICT: number: seconds, verdict: its kind
// - ASKED: once at most, perhaps before UP
// - CONTROL: a message about roots, a prefix, the pace, a drain or decommissioning, which comes by `control`; perhaps before UP
// - TUN_LOST: of no connection; the errno's name
// - HANDSHAKE: number: 1 if it took too long, 2 if the TPM has not signed for us, 3 if the token has not
// - UNTRUSTED: number: 1 if only the name or the usage of the certificate is wrong
// - CLOSED, SILENT: number: 1 if the peer had answered before
// - OVERSIZED: the length
// - LOCAL: of no connection: a packet for the LAN server, which comes by `local`
#define DP_EVENTS(X)                      \
  X(UP, "up")                             \
  X(VERDICT, "verdict")                   \
  X(ASKED, "asked")                       \
  X(CONTROL, "control")                   \
  X(TUN_LOST, "tun-lost")                 \
  X(BAD_ROOT, "bad-root")                 \
  X(BAD_CREDENTIALS, "bad-credentials")   \
  X(UNTRUSTED, "untrusted")               \
  X(CLOCK, "clock")                       \
  X(HANDSHAKE, "handshake")               \
  X(CLOSED, "closed")                     \
  X(BROKEN, "broken")                     \
  X(OVERSIZED, "oversized")               \
  X(SILENT, "silent")                     \
  X(LOCAL, "local")

enum dp_event_kind {
#define DP_EVENT_KIND(kind, name) DP_EVENT_##kind,
  DP_EVENTS(DP_EVENT_KIND)
#undef DP_EVENT_KIND
};

struct dp_event {
  enum dp_event_kind kind;
  uint32_t connection;  // id of its options
  uint32_t number;
  uint8_t verdict;
  char text[DP_REASON];
};

struct dp_connection {
  uint32_t id;
  int fd;
  SSL *ssl;
  bool established, answered, asked, wants_write;
  uint32_t controls;  // messages that were passed on
  uint64_t handshake_by;
  struct dp_silence silence;
  struct dp_link link;
};

// A connection in its handshake that will take the place of the present one.
struct dp_successor {
  SSL *ssl;  // NULL: there is none
  uint32_t id, events;
  int fd;
  bool wants_write, again;
  uint64_t handshake_by;
};

struct dp_client {
  struct dp_rules rules;
  struct dp_counters *counters;
  void *owner;
  void (*report)(void *owner, const struct dp_event *event);
  // Gets a packet for the LAN server; NULL if there is none.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
  // Gets the packet of a control message of the connection with this id.
  void (*control)(void *owner, uint32_t id, const uint8_t *packet, uint32_t length);
  // Called in the loop when the wake descriptor was written to; returns false to end the loop.
  bool (*commands)(void *owner, struct dp_client *client);

  struct dp_tun tun;
  struct dp_egress egress;
  struct dp_ingress ingress;
  struct dp_workspace workspace;
  uint8_t *spare;  // room for one packet of the TUN while the socket is full
  struct dp_tls_client tls;
  struct dp_connect_options *identity;  // whose certificate and key the client has
  struct dp_connection connection;
  struct dp_successor successor;
  bool connected, tun_lost, read_again;
  bool lone;  // the TUN had one packet when it was last read
  uint64_t iteration, tun_iteration;  // number of the loop's iteration, and of the last one in which the TUN had packets
  uint32_t socket_events;
  int epoll, wake;
};

// Reports an event of the connection.
void dp_client_report(struct dp_client *client, enum dp_event_kind kind, uint32_t number, const char *text);
