// The tunnel router: threads that each have a listening socket, connections and a copy of the route table, so that forwarding takes no
// lock. Frames for a connection of another thread go there through a ring. JavaScript decides whether a peer is admitted; before that
// nothing is read from its connection after the handshake.
//
//   router.c      starts and ends the threads, sends commands to them
//   thread.c      one thread's loop: events, commands, timers
//   connection.c  one peer from accept to close
//   admission/    whether a connection may begin, and which one goes when too many have proved nothing yet
//   lookup/       whose an address is, asked of JavaScript
//   napi/         its functions for JavaScript
//   forward.c      where a packet goes
//   delegations.c  which device has a /64 behind it
//   control.c     control messages
//   host.c        what goes to the host
//   judge.c       whether rules let a packet pass
//   police.c      whether rate limits let it pass
//   rules/        the rules of a network, and the flows that they have let pass
//   rates/        the rate limits of a network, and the token buckets of its devices
//   tenant.c      what the devices of one network have of a thread
#pragma once
#include "dataplane/egress.h"
#include "dataplane/ingress.h"
#include "transport/link.h"
#include "admission/pending.h"
#include "addresstable.h"
#include "lookup/lookups.h"
#include "messages.h"
#include "rates/meter.h"
#include "ring.h"
#include "rules/flows.h"
#include <sys/socket.h>

enum { ROUTER_MOST_THREADS = 16 };

struct router_settings {
  uint32_t threads;
  struct router_ratelimit_limits ratelimit;
  uint32_t handshake_ms;  // from the ClientHello to the end of the handshake, and then for JavaScript to admit the peer
  uint32_t linger_ms;     // how long an orderly close waits for the peer's own
  uint32_t stall_ms;      // a peer that takes no data for so long is disconnected
  uint32_t queue_bytes;   // that may wait for one peer
  bool several;           // other nodes serve the same networks: the host knows the way to their devices
  int tun;                // a descriptor, which the router owns if it starts, or -1
  enum dp_offload offload;
};

// Callbacks, which run in the threads. `report` takes the event.
struct router_listener {
  void *owner;
  void (*report)(void *owner, struct router_event *event);
  // A thread's last act.
  void (*ended)(void *owner);
};

enum router_state {
  ROUTER_SILENT,  // no whole ClientHello yet
  ROUTER_HANDSHAKING,
  ROUTER_WAITING,   // to be admitted; nothing is read
  ROUTER_ADMITTED,
  ROUTER_CLOSING,   // the last frames and close_notify are being sent
  ROUTER_DRAINING,  // everything is sent; the peer has not closed yet
};

// What is on its way to each of the other threads, from one sender or one network.
struct router_sent {
  struct router_ring_use to[ROUTER_MOST_THREADS];
};

// How much a device has used of its rate limits, in one direction.
struct router_meters {
  struct router_meter packets, bytes;
};

struct router_list {
  struct router_connection *first, *last;
};

struct router_connection {
  struct router_connection *previous, *next;  // in `list`
  struct router_list *list;
  struct router_connection *next_dirty, *next_readable, *next_closed;
  struct router_place place;  // until it is admitted
  bool dirty, readable, broken, wants_write;
  enum router_state state;
  int fd;
  SSL *ssl;  // from its first byte on
  uint32_t events;
  uint64_t deadline, stalled_since;
  uint64_t reports_until, roots_until, decommissions_until;  // token buckets as times: one message of the kind may come for each period from here to now
  uint32_t network, group;
  struct dp_filter own;
  struct router_thread *thread;
  struct router_peer *peer;  // once the handshake is done
  struct dp_link link;       // likewise
  struct router_tenant *tenant;  // once it is admitted
  struct router_asker asker;     // likewise
  struct router_flow_owner flows;  // likewise
  uint32_t since;  // the generation of its network's rules when it was admitted
  uint32_t rated;  // the generation of the rate limits that its meters go by; 0: none
  struct router_meters meters[2];  // by enum router_direction
  struct router_sent sent;
};

// The devices of one network in a thread: what they use of that which all devices of the thread share.
struct router_tenant {
  struct router_rules *rules;  // NULL: none
  uint32_t generation;         // grows when they are replaced
  struct router_rates *rates;  // NULL: none
  uint32_t rated;              // grows when they are replaced
  struct dp_group queues;
  struct router_askers askers;
  struct dp_group flows;
  struct router_sent sent;
};

// A route: which peer has an address, or a /64, whose other bytes are 0.
struct router_route {
  struct router_addresstable_entry entry;
  struct router_peer *peer;
  uint32_t network, group;
  struct router_route *delegated;  // of an address: the /64 that its peer has, too, or NULL
};

// Where the device's last packet of the batch at hand went: almost always the next one has the same destination. Commands alone change what
// it says, and none is applied within a batch.
struct router_target {
  uint8_t address[16];
  const struct router_route *route;  // NULL: none
  bool known;      // there was one
  bool no_device;  // nor is it the address of a device that is not connected
};

struct router_thread {
  struct router *router;
  uint32_t index;
  pthread_t id;
  int epoll, wake, listener;
  struct router_mailbox mailbox;
  SSL_CTX *tls;  // of the connections that are accepted from now on
  struct router_ring rings[ROUTER_MOST_THREADS];  // rings[i]: from thread i to this one
  _Atomic bool sleeping;
  _Atomic bool woken;  // something was written to `wake`, and not read yet

  struct dp_workspace workspace;
  struct router_addresstable routes, delegations;
  struct router_networks *networks;  // NULL until JavaScript has told them
  struct router_tenant **tenants;  // by network
  size_t tenants_room;
  struct router_target target;
  struct router_lookups lookups;
  uint32_t answers_given;  // by the main thread, which alone uses it
  _Atomic uint32_t answers_taken;
  struct router_flows flows;
  struct router_list silent, handshaking, waiting, sessions, lingering;  // all but sessions: by deadline
  struct router_evicted evicted;
  struct router_connection *dirty, *readable, **last_readable, *closed, *receiving;
  uint32_t dirty_count;
  uint64_t now, sweep_at, accept_at;  // accept_at: when to accept again after descriptors ran out
  uint32_t first_ring;  // the one to begin with
  uint32_t crossed;  // bit i: thread i was handed frames in the batch at hand
  bool shutting_down, rings_left;

  // The host's side: a queue of the TUN for each thread, so that a flow stays in one thread in both directions. If the TUN has only one
  // queue, thread 0 reads it and all write to it.
  int queue;  // this thread's own descriptor, or -1; the first queue is the router's
  struct dp_counters counters;
  struct router_drops drops;  // of packets that no peer sent
  struct router_sent sent[2];  // likewise: by one sender, which is a network of its own
  struct dp_tun tun;
  struct dp_egress egress;
  struct dp_ingress ingress;
  struct dp_filter anything;
  uint64_t refused;  // by the kernel, in the batch at hand
  uint8_t *spare;  // a packet of the TUN
  bool has_tun, tun_lost;
  bool lone;  // the TUN had one packet when it was last read
  uint64_t iteration, tun_iteration;  // number of the loop's iteration, and of the last one in which the TUN had packets
};

struct router {
  struct router_settings settings;
  struct router_listener listener;
  struct router_ratelimit ratelimit;
  struct router_pending pending;
  SSL_CTX *tls;  // that the threads begin with
  uint16_t port;
  uint32_t threads;
  _Atomic bool vouched;  // some owner has a CA
  _Atomic uint32_t running;
  struct router_thread thread[];
};

// Listens on `address` (port 0: the system chooses) and starts the threads. `*doing` names the step that failed, with a reason of
// OpenSSL's in `reason` (DP_REASON bytes) if the certificate or the key is of no use: EKEYREJECTED. 0 or an errno.
int router_start(const struct router_settings *settings, const struct sockaddr_storage *address, const char *certificate,
                 const char *key, struct router_listener listener, struct router **router, const char **doing, char *reason);
// Sends a command to the thread of `command->peer`, if that is set, or to thread `index`. Takes the command.
void router_send_command(struct router *router, uint32_t index, struct router_command *command);
// Sends a copy to all threads. False without memory: then only some threads have got one.
bool router_broadcast_command(struct router *router, const struct router_command *command);
// The same for a change of routes. A thread that sleeps, and has no packets that wait for routes, is not woken: before it does anything, it takes
// what was commanded.
bool router_broadcast_route(struct router *router, const struct router_command *command);
// Lets the threads forget what they were answered about the address; one that was answered nothing, or has forgotten it, is not woken.
// Only the main thread. False without memory: then only some have been told.
bool router_forget(struct router *router, const uint8_t address[16]);
// The same for everything that they were answered.
bool router_forget_all(struct router *router);
// After ROUTER_SHUT_DOWN was sent to all threads: waits for their end and frees everything.
void router_join(struct router *router);

// A thread's last act. The last thread closes the TUN and reports ROUTER_STOPPED.
void router_thread_ends(struct router *router);

void router_wake(struct router_thread *thread);
// Takes the event.
void router_report(struct router_thread *thread, struct router_event *event);

// tls.c: NULL if the certificate or key is of no use; `reason` then says why.
SSL_CTX *router_tls_open(const char *certificate, const char *key, char *reason);
// The server's side of a connection over the socket; NULL without memory. `vouched`: the peer may show a certificate of an owner's CA, with
// other keys than P-256.
SSL *router_tls_accept(SSL_CTX *context, int fd, bool vouched);
// The certificate the peer has shown, its P-256 key and, if it was accepted as `vouched`, the rest of its chain, as far as there are any.
void router_tls_peer(const SSL *ssl, struct router_event *event);

// thread.c
int router_thread_init(struct router_thread *thread, struct router *router, uint32_t index, int listener);
void router_thread_free(struct router_thread *thread);
// Its own queue of the TUN, if it has one.
void router_close_queue(struct router_thread *thread);
void *router_thread_run(void *thread);
// Applies the commands that wait. That may close connections: not to be called while one is read.
void router_take_commands(struct router_thread *thread, uint64_t now);
// The number of the network in which the address lies; 0 if that is none of the fabric's, or none is known yet.
uint32_t router_network_of(const struct router_thread *thread, const uint8_t address[16]);
void router_unwatch(struct router_thread *thread, int fd);

// list.c
void router_list_add(struct router_list *list, struct router_connection *connection);
void router_list_remove(struct router_connection *connection);

// connection.c
void router_accept(struct router_thread *thread, int fd, const struct sockaddr_storage *from, uint64_t now);
// Handles epoll's events; 0: reads on.
void router_connection_serve(struct router_connection *connection, uint32_t events, uint64_t now);
void router_connection_admit(struct router_connection *connection, uint32_t network, uint32_t group, uint64_t now);
void router_connection_disconnect(struct router_connection *connection, const struct router_command *command, const char *why, uint64_t now);
struct router_connection *router_connection_at(struct router_place *place);
// Closes it at once. Its memory stays until the end of the loop's iteration.
void router_connection_close(struct router_connection *connection, const char *why, uint64_t now);
// Sends what is queued for connections that were marked dirty.
void router_flush_dirty(struct router_thread *thread, uint64_t now);
void router_mark_dirty(struct router_connection *connection);
// Notes when the peer was last heard, if that was a while ago.
void router_connection_listen(struct router_connection *connection, uint64_t now);
// Has the peer taken no data for too long?
bool router_connection_stalls(const struct router_connection *connection, uint64_t now);

// forward.c
// A batch of a device begins: its packets come between this and router_forward_flush().
static inline void router_forward_begin(struct router_thread *thread) { thread->target.known = false; }
void router_forward_from_device(struct router_connection *from, struct dp_frame *frame, uint64_t now);
// Sends what a batch of a device has left in other connections, rings and the TUN.
void router_forward_flush(struct router_connection *from, uint64_t now);
// Forwards packets of the TUN.
void router_forward_from_tun(struct router_thread *thread, uint64_t now);
// Forwards frames from the rings, for a turn.
void router_forward_from_rings(struct router_thread *thread, uint64_t now);
// Forwards a packet that host.c held to the device that it is for.
void router_forward_held(struct router_peer *sender, struct dp_frame *frame, uint64_t now);
// Gives an admitted device a packet of the network, 0: of the host, if rules and rate limits let it pass.
void router_give(struct router_connection *to, uint32_t network, struct dp_frame *frame, uint64_t now);
// delegations.c: to the device in whose /64 the address lies.
struct router_route *router_delegated_route_to(const struct router_thread *thread, const uint8_t *address);
// To the device that has the address, or behind which it is.
static inline struct router_route *router_route_to(const struct router_thread *thread, const uint8_t *address) {
  struct router_route *route = (struct router_route *)(void *)router_addresstable_find(&thread->routes, address);
  return route != NULL || thread->delegations.count == 0 ? route : router_delegated_route_to(thread, address);
}
void router_add_route(struct router_thread *thread, const struct router_command *command, uint64_t now);
void router_remove_route(struct router_thread *thread, const struct router_command *command);
// delegations.c: the peer has the /64 of the command, or none any more, if it still has the route to its address.
void router_delegate(struct router_thread *thread, const struct router_command *command);
// Takes the /64 from the peer of this route, if it has one.
void router_end_delegation(struct router_thread *thread, struct router_route *route);
// judge.c: whether the rules of a device's network let a packet pass out of it or into it, to or from a connected device of `network`, or
// anything else if that is 0. What does not pass is counted at the device.
bool router_judge(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now);
// What goes to another network is a flow also if there are no rules: its answers come in.
static inline bool router_has_rules(const struct router_connection *device, uint32_t network) {
  return device->tenant->rules != NULL || (network != 0 && network != device->network);
}
static inline bool router_may_leave(struct router_connection *from, uint32_t network, const struct dp_frame *frame, uint64_t now) {
  return !router_has_rules(from, network) || router_judge(from, ROUTER_OUT, frame, now);
}
static inline bool router_may_enter(struct router_connection *to, uint32_t network, const struct dp_frame *frame, uint64_t now) {
  return !router_has_rules(to, network) || router_judge(to, ROUTER_IN, frame, now);
}
// May packets pass between devices of these two networks at all? Their rules then say which.
bool router_are_open(const struct router_thread *thread, uint32_t one, uint32_t other);
// The thread has these rules of the network from now on; NULL: none.
void router_take_rules(struct router_thread *thread, uint32_t network, struct router_rules *rules);

// police.c: whether the rate limits of a device let a packet pass that it gets or sends, which counts as used then. What does not pass is counted at
// the device.
bool router_use_rates(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now);
static inline bool router_within_rates(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now) {
  return device->tenant->rates == NULL || router_use_rates(device, direction, frame, now);
}
// The thread has these rate limits of the network from now on; NULL: none.
void router_take_rates(struct router_thread *thread, uint32_t network, struct router_rates *rates);

// host.c: forwards a packet for the target, which has no route, to the host, unless the address is a device's.
void router_to_host(struct router_connection *from, struct router_target *target, struct dp_frame *frame, uint64_t now);
void router_host_answer(struct router_thread *thread, const struct router_command *command, uint64_t now);
// Where there are several nodes: may the address, which has no route, be that of a device of another one?
static inline bool router_may_be_elsewhere(const struct router_thread *thread, const uint8_t *address) {
  return thread->router->settings.several && thread->networks != NULL && router_networks_find(thread->networks, address) != 0;
}
// Is the address behind a device, or may it be?
static inline bool router_is_delegated(const struct router_thread *thread, const uint8_t *address) {
  return thread->networks != NULL && router_networks_delegate(thread->networks, address);
}
// What is looked up for the address: it, or the /64 that a device has for what is behind it, whose first address is written to `room`.
static inline const uint8_t *router_lookup_key(const struct router_thread *thread, const uint8_t *address, uint8_t room[16]) {
  if (!router_is_delegated(thread, address)) return address;
  memset(room + ROUTER_PREFIX, 0, 16 - ROUTER_PREFIX);
  return memcpy(room, address, ROUTER_PREFIX);
}
// The device of another node that has the address, or behind which it is; NULL: not known.
static inline const struct router_lookup *router_elsewhere(const struct router_thread *thread, const uint8_t *address) {
  uint8_t room[16];
  if (!thread->router->settings.several) return NULL;
  const struct router_lookup *lookup =
      (const void *)router_addresstable_find(&thread->lookups.table, router_lookup_key(thread, address, room));
  return lookup != NULL && lookup->state == ROUTER_LOOKUP_DEVICE && lookup->group != 0 ? lookup : NULL;
}
// From a device of another node, which is in this network, to one of this thread.
void router_from_node(struct router_connection *to, uint32_t network, struct dp_frame *frame, uint64_t now);
// There is a route to the address now: forwards what was held for it.
void router_host_routed(struct router_thread *thread, const uint8_t address[16], uint64_t now);
void router_host_forget(struct router_thread *thread, const uint8_t address[16]);
// Asks JavaScript what may be asked now.
void router_host_ask(struct router_thread *thread, uint64_t now);

// tenant.c: the devices of a network, which is not 0; NULL without memory. It stays until the thread is freed.
struct router_tenant *router_tenant(struct router_thread *thread, uint32_t network);
void router_tenants_free(struct router_thread *thread);

// control.c: asks an admitted peer for a report, if it understands control messages.
void router_request_report(struct router_connection *connection);
// Sends an admitted peer a control message of at most WIRE_MAX_PACKET bytes behind what waits, likewise.
void router_send_message(struct router_connection *connection, const uint8_t *packet, uint32_t length, uint64_t now);
// Passes a report, which roots the peer knows, or its wish to be retired to JavaScript. False if the frame is none of these, or exceeds the rate.
bool router_take_message(struct router_connection *from, const struct dp_frame *frame, uint64_t now);

// echo.c: turns an ICMPv6 echo request with a right checksum into its reply, in place. False if the packet is none.
bool router_echo_reply(uint8_t *packet, uint32_t length);
