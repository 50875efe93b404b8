// What the main thread tells a router's thread, and the other way round. The main thread is the only one that gives orders, and all
// threads get them in the same sequence: that keeps their tables equal.
#pragma once
#include "dataplane/frame.h"
#include "peer.h"
#include <pthread.h>

enum { ROUTER_VERDICT = 32, ROUTER_ENDS = 64, ROUTER_REASON = 256 };

enum router_command_kind {
  ROUTER_ADMIT,    // peer may come in; network
  ROUTER_DISCONNECT,     // end the peer's connection: verdict, reset
  ROUTER_ROUTE,    // peer's address leads to it from now on; network
  ROUTER_UNROUTE,  // unless a newer peer has it
  ROUTER_ANSWER,   // whose address is, as it was asked: answer
  ROUTER_FORGET,   // the last answer on address
  ROUTER_SHUT_DOWN,     // end everything; hard: at once
};

enum router_owner {
  ROUTER_OWNER_NONE,  // not a device's: it may be reached through the host
  ROUTER_OWNER_DEVICE,
  ROUTER_OWNER_UNKNOWN,  // ask again
};

struct router_command {
  struct router_command *next;
  enum router_command_kind kind;
  struct router_peer *peer;  // a reference, or NULL
  uint32_t network;          // not 0; equal for devices that may reach each other
  uint8_t address[16];
  enum router_owner answer;
  uint8_t verdict[ROUTER_VERDICT];  // the packet of a control frame, for peers that understand it
  uint32_t verdict_length;
  bool reset;  // a peer that would not understand it gets a TCP reset
  bool hard;
};

struct router_mailbox {
  pthread_mutex_t lock;
  struct router_command *first, **last;
};

void router_mailbox_init(struct router_mailbox *mailbox);
// Frees whatever was never taken.
void router_mailbox_free(struct router_mailbox *mailbox);
// Takes the order.
void router_mailbox_put(struct router_mailbox *mailbox, struct router_command *command);
// All orders so far, oldest first; each is freed by router_command_free.
struct router_command *router_mailbox_take(struct router_mailbox *mailbox);
// Releases its peer, too.
void router_command_free(struct router_command *command);

// Each event's name in C and in JavaScript.
// - arrived: a peer has finished its handshake: it waits to be admitted or refused
// - ended: its connection is over; text: why
// - reported: a peer tells of itself: report
// - asks: thread wants to know whose address is
// - tun-lost: text: the errno's name
// - stopped: the last thread has ended
#define ROUTER_EVENTS(X)       \
  X(ARRIVED, "arrived")        \
  X(ENDED, "ended")            \
  X(REPORTED, "reported")      \
  X(ASKS, "asks")              \
  X(TUN_LOST, "tun-lost")      \
  X(STOPPED, "stopped")

enum router_event_kind {
#define ROUTER_EVENT_KIND(kind, name) ROUTER_##kind,
  ROUTER_EVENTS(ROUTER_EVENT_KIND)
#undef ROUTER_EVENT_KIND
};

struct router_event {
  enum router_event_kind kind;
  struct router_peer *peer;  // a reference, or NULL
  uint32_t thread;
  uint8_t address[16];
  uint8_t *certificate;  // DER; NULL if the peer has shown none
  size_t certificate_length;
  bool has_key;
  uint8_t key[65];  // P-256, uncompressed: the peer has proven that it has the private half
  enum dp_wire wire;
  char ends[ROUTER_ENDS];  // outer address and port, separated by a space
  const char *tls;         // the protocol's name, static
  char text[ROUTER_REASON];
  uint8_t report[WIRE_MAX_REPORT_LENGTH];  // as it came
  uint32_t report_length;
};

void router_event_free(struct router_event *event);
