// Commands of the main thread to the router's threads, and their events. Only the main thread gives commands, and all threads get them in
// the same order, so that their route tables stay equal.
#pragma once
#include "lookup/networks.h"
#include "packet/frame.h"
#include "peer.h"
#include "pki/facts.h"
#include "rates/rates.h"
#include "rules/rules.h"
#include <openssl/ssl.h>
#include <pthread.h>

enum { ROUTER_VERDICT = 32, ROUTER_ENDS = 64, ROUTER_REASON = 256 };

enum router_command_kind {
  ROUTER_ADMIT,       // admit peer to network
  ROUTER_DISCONNECT,  // end the peer's connection: verdict, reset
  ROUTER_ROUTE,       // add a route to the peer's address; network
  ROUTER_UNROUTE,     // remove it, unless a newer peer has it
  ROUTER_DELEGATE,    // from now on the peer has the /64 of address, too, if delegated is set; else none
  ROUTER_ANSWER,      // answer to ROUTER_ASKS: whose address it is; with delegated: whose /64, the device's
  ROUTER_FORGET,      // forget the last answer on address
  ROUTER_FORGET_ALL,  // forget all answers
  ROUTER_BARRIER,     // report ROUTER_REACHED with number: what was commanded before has been done
  ROUTER_NETWORKS,    // these are the networks from now on
  ROUTER_RULES,       // these are the rules of network from now on; rules: NULL: none
  ROUTER_RATES,       // these are the rate limits of network from now on; rates: NULL: none
  ROUTER_SEND,        // send the peer a control message: message
  ROUTER_IDENTITY,    // show this certificate from now on: tls
  ROUTER_SHUT_DOWN,   // end everything; hard: at once
};

enum router_owner {
  ROUTER_OWNER_NONE,     // no device's: packets for it go to the host
  ROUTER_OWNER_DEVICE,
  ROUTER_OWNER_UNKNOWN,  // the registry cannot be asked now
};

struct router_command {
  struct router_command *next;
  enum router_command_kind kind;
  struct router_peer *peer;  // a reference, or NULL
  uint32_t network;          // not 0; devices of one network reach each other, as far as its rules let them
  uint32_t group;            // of the peer's device; 0: none
  uint8_t address[16];
  uint8_t device[16];
  enum router_owner answer;
  uint32_t number;
  struct router_networks *networks;  // a reference, or NULL
  struct router_rules *rules;        // likewise
  struct router_rates *rates;        // likewise
  SSL_CTX *tls;                      // likewise
  uint8_t *message;                  // owned, or NULL: the packet of a control frame
  uint32_t message_length;
  uint8_t verdict[ROUTER_VERDICT];  // the packet of a control frame, for peers that understand it
  uint32_t verdict_length;
  bool reset;    // a peer without control messages gets a TCP reset
  bool excused;  // the peer's source is not charged for the refusal
  bool hard;
  bool delegated;
};

struct router_mailbox {
  pthread_mutex_t lock;
  struct router_command *first, **last;
  _Atomic uint32_t count;
};

void router_mailbox_init(struct router_mailbox *mailbox);
// Frees the commands that were never taken.
void router_mailbox_free(struct router_mailbox *mailbox);
// Takes the command; returns how many there are now.
uint32_t router_mailbox_put(struct router_mailbox *mailbox, struct router_command *command);
// All commands so far, oldest first; each is freed by router_command_free.
struct router_command *router_mailbox_take(struct router_mailbox *mailbox);
// Releases what it refers to, too.
void router_command_free(struct router_command *command);

// Each event's name in C and in JavaScript.
// - arrived: a peer has finished its handshake: it waits to be admitted or refused
// - ended: its connection is over; text: why
// - message: a peer has sent a report, which roots it knows, or that it wants to be retired
// - asks: thread has a packet for an address without a route: is it a device's?
// - reached: thread has come to the barrier of that number
// - tun-lost: text: the errno's name
// - stopped: the last thread has ended
#define ROUTER_EVENTS(X)       \
  X(ARRIVED, "arrived")        \
  X(ENDED, "ended")            \
  X(MESSAGE, "message")        \
  X(ASKS, "asks")              \
  X(REACHED, "reached")        \
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
  uint32_t number;
  uint8_t address[16];
  uint8_t *certificate;  // DER; NULL if the peer has shown none
  size_t certificate_length;
  uint8_t *chain;  // what the peer has shown beside it, if owners have CAs: DER, one behind the other; or NULL
  size_t chain_length;
  struct pki_facts *facts;  // what the certificate says, if owners have CAs and another key than its own has signed it; or NULL
  bool has_key;
  uint8_t key[65];  // P-256, uncompressed: the peer has proven that it has the private key
  enum dp_wire wire;
  char ends[ROUTER_ENDS];  // outer address and port, separated by a space
  const char *tls;         // the protocol's name, static
  char text[ROUTER_REASON];
  uint8_t message[WIRE_MAX_REPORT_LENGTH];  // as it came
  uint32_t message_length;
};

void router_event_free(struct router_event *event);
