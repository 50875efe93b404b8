// Where a packet goes (docs/wire.md, "What passes").
#include "router.h"
#include <stdlib.h>
#include <string.h>

enum {
  TUN_BURST = 256,
  RING_BURST = 1024,  // from one ring before the next one is read
  DIRTY_BURST = 64,   // connections that are given frames before all are flushed, which is work, too
  FROM_HOST = 0,      // in place of a device's network, which is never 0
};

// Not multicast (ff00::/8), link-local (fe80::/10), unspecified (::) or loopback (::1).
static bool is_global(const uint8_t *address) {
  static const uint8_t zero[15];
  if (address[0] == 0xff || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80)) return false;
  return address[15] > 1 || memcmp(address, zero, sizeof zero) != 0;
}

static void enqueue(struct router_connection *to, struct dp_frame *frame, uint64_t now) {
  dp_link_forward(&to->link, frame, now);
  router_mark_dirty(to);
  if (dp_link_full(&to->link) || to->thread->dirty_count >= DIRTY_BURST) router_flush_dirty(to->thread, now);
}

// Who has sent a packet: a device, or the host.
struct sender {
  uint32_t network;
  struct router_drops *drops;
  struct router_sent *own, *all;  // by itself, by its network
};

// Hands a frame to the thread that has the connection. False if the ring is full, or the sender has its share of it.
static bool send_to_thread(struct router_thread *thread, struct router_thread *to, const struct dp_frame *frame, const struct sender *from) {
  struct router_ring *ring = &to->rings[thread->index];
  struct router_ring_use *own = &from->own->to[to->index], *all = &from->all->to[to->index];
  uint32_t size = dp_frame_size(frame);
  uint8_t *room = router_ring_reserve_share(ring, own, all, size, from->network);
  if (room == NULL) return false;
  dp_frame_copy(frame, room);
  router_ring_commit(ring, size);
  router_ring_count(ring, own, all, size);
  thread->crossed |= 1u << to->index;
  return true;
}

// The rules come first: what they refuse uses nothing of the device's rate limits.
static bool may_get(struct router_connection *to, uint32_t network, const struct dp_frame *frame, uint64_t now) {
  return router_may_enter(to, network, frame, now) && router_within_rates(to, ROUTER_IN, frame, now);
}

void router_give(struct router_connection *to, uint32_t network, struct dp_frame *frame, uint64_t now) {
  if (may_get(to, network, frame, now)) enqueue(to, frame, now);
}

// To a connection of this thread.
static void receive(struct router_connection *to, uint32_t network, struct dp_frame *frame, uint64_t now) {
  bool elsewhere = network != FROM_HOST && to->thread->router->settings.several && router_route_to(to->thread, frame->packet + 8) == NULL;
  if (elsewhere) router_from_node(to, network, frame, now);
  else router_give(to, network, frame, now);
}

// What is dropped in the destination's queue is counted by its link.
static void deliver(struct router_thread *thread, const struct router_route *route, struct dp_frame *frame, const struct sender *from,
                    uint64_t now) {
  if (route->peer->thread != thread) {
    if (!send_to_thread(thread, route->peer->thread, frame, from)) dp_add(&from->drops->queue_full, 1);
    return;
  }
  struct router_connection *to = router_peer_connection(route->peer, thread);
  if (to == NULL || to->state != ROUTER_ADMITTED) dp_add(&from->drops->offline, 1);
  else receive(to, from->network, frame, now);
}

// From one device to another.
static void pass(struct router_connection *from, const struct router_route *route, struct dp_frame *frame, uint64_t now) {
  struct sender sender = {from->network, &from->peer->drops, &from->sent, &from->tenant->sent};
  if (!router_are_open(from->thread, from->network, route->network)) dp_add(&sender.drops->foreign_network, 1);
  else if (router_may_leave(from, route->network, frame, now)) deliver(from->thread, route, frame, &sender, now);
}

static struct router_target *find_target(struct router_thread *thread, const uint8_t *address) {
  struct router_target *target = &thread->target;
  if (target->known && memcmp(target->address, address, sizeof target->address) == 0) return target;
  *target = (struct router_target){.route = router_route_to(thread, address), .known = true};
  memcpy(target->address, address, sizeof target->address);
  return target;
}

void router_forward_from_device(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  struct router_drops *drops = &from->peer->drops;
  struct dp_counters *counters = &from->peer->counters;
  if (frame->control && router_take_message(from, frame, now)) return;
  dp_add(&counters->received_packets, dp_segments(frame));
  dp_add(&counters->received_bytes, frame->length);
  enum dp_verdict verdict = dp_egress(&from->own, frame->packet, frame->length);
  if (frame->control || frame->packet[0] >> 4 != 6 || verdict == DP_MALFORMED) {
    dp_add(&drops->malformed, 1);
    return;
  }
  if (verdict == DP_FOREIGN) {
    dp_add(&drops->spoofed, 1);
    return;
  }
  const uint8_t *destination = frame->packet + 24;
  if (memcmp(destination, WIRE_ROUTER_ADDRESS, 16) == 0) {
    if (frame->gso == DP_GSO_NONE && router_echo_reply(frame->packet, frame->length)) enqueue(from, frame, now);
    else dp_add(&drops->unroutable, 1);
    return;
  }
  if (!is_global(destination)) {
    dp_add(&drops->unroutable, 1);
    return;
  }
  // What it wants to send counts, also if nobody takes it.
  if (!router_within_rates(from, ROUTER_OUT, frame, now)) return;
  struct router_target *target = find_target(thread, destination);
  if (target->route != NULL) pass(from, target->route, frame, now);
  // Rules may name the group of a device of another node: they are asked once it is known.
  else if (router_may_be_elsewhere(thread, destination) || router_may_leave(from, 0, frame, now)) router_to_host(from, target, frame, now);
}

// Wakes the threads that were handed frames. One that is not asleep checks its rings before it sleeps.
static void wake_others(struct router_thread *thread) {
  uint32_t crossed = thread->crossed;
  if (crossed == 0) return;
  thread->crossed = 0;
  atomic_thread_fence(memory_order_seq_cst);
  for (uint32_t i = 0; crossed != 0; i++, crossed >>= 1) {
    struct router_thread *other = &thread->router->thread[i];
    if ((crossed & 1) != 0 && atomic_exchange_explicit(&other->sleeping, false, memory_order_seq_cst)) router_wake(other);
  }
}

static void send_on(struct router_thread *thread, uint64_t now) {
  wake_others(thread);
  router_flush_dirty(thread, now);
}

void router_forward_held(struct router_peer *sender, struct dp_frame *frame, uint64_t now) {
  struct router_connection *from = sender->connection;
  const struct router_route *route = from == NULL ? NULL : router_route_to(from->thread, frame->packet + 24);
  if (route == NULL) {
    dp_add(&sender->drops.offline, 1);
    return;
  }
  pass(from, route, frame, now);
  send_on(from->thread, now);
}

void router_forward_flush(struct router_connection *from, uint64_t now) {
  struct router_thread *thread = from->thread;
  uint64_t refused = dp_value(&thread->counters.in_refused);
  dp_ingress_flush(&thread->ingress);
  refused = dp_value(&thread->counters.in_refused) - refused + thread->refused;
  thread->refused = 0;
  if (refused > 0) dp_add(&from->peer->drops.tun_refused, refused);
  wake_others(thread);
  router_flush_dirty(thread, now);
}

static bool is_current(const struct router_thread *thread, const struct router_route *route) {
  if (route == NULL) return false;
  const struct router_connection *to = router_peer_connection(route->peer, thread);
  return route->peer->thread != thread || (to != NULL && to->state == ROUTER_ADMITTED);
}

// For a packet of the host or another thread: a command that waits for this thread may admit the device that the packet is for, which the
// sender knows already. So commands are taken before the route is given up.
static struct router_route *find_latest_route(struct router_thread *thread, const uint8_t *address, uint64_t now) {
  struct router_route *route = router_route_to(thread, address);
  if (is_current(thread, route)) return route;
  router_take_commands(thread, now);
  return router_route_to(thread, address);
}

// What comes from the TUN may be of the host or of anybody beyond it, but of no device: those reach each other through the router alone. Devices of
// other nodes come that way, which the host lets in where the way to them leads.
static enum dp_verdict check_host(const struct router_thread *thread, const struct dp_frame *frame, uint32_t *network) {
  const uint8_t *source = frame->packet + 8;
  enum dp_verdict verdict = dp_origin(frame->packet, frame->length);
  bool device = thread->networks != NULL && router_networks_have_device(thread->networks, source);
  *network = device ? router_networks_find(thread->networks, source) : FROM_HOST;
  bool forged = device && (!thread->router->settings.several || router_route_to(thread, source) != NULL);
  return verdict == DP_PASS && forged ? DP_FOREIGN : verdict;
}

static void from_host(struct router_thread *thread, struct dp_frame *frame, uint64_t now) {
  const uint8_t *destination = frame->packet + 24;
  if (!is_global(destination)) {
    dp_add(&thread->drops.unroutable, 1);
    return;
  }
  uint32_t network;
  enum dp_verdict verdict = check_host(thread, frame, &network);
  const struct router_route *route = verdict == DP_MALFORMED ? NULL : find_latest_route(thread, destination, now);
  // What a device has sent to one that no node has comes back.
  bool returns = verdict == DP_FOREIGN && route == NULL && thread->router->settings.several;
  if (verdict != DP_PASS && !returns) {
    dp_add(verdict == DP_MALFORMED ? &thread->drops.malformed : &thread->drops.host_spoofed, 1);
    return;
  }
  if (route == NULL) dp_add(&thread->drops.offline, 1);
  else deliver(thread, route, frame, &(struct sender){network, &thread->drops, &thread->sent[0], &thread->sent[1]}, now);
}

static void lose_tun(struct router_thread *thread, int error) {
  struct router_event *event = calloc(1, sizeof *event);
  thread->tun_lost = true;
  router_unwatch(thread, thread->tun.fd);
  if (event == NULL || thread->index > 0) {  // thread 0 reports it
    free(event);
    return;
  }
  event->kind = ROUTER_TUN_LOST;
  strncpy(event->text, strerrorname_np(error) ?: "?", sizeof event->text - 1);
  router_report(thread, event);
}

// One packet, or its segments if it is none that a super-frame can hold. Returns how many it stands for, 0 if the TUN has no more.
static uint32_t take_from_tun(struct router_thread *thread, uint64_t now) {
  size_t size = 0, taken = 0;
  uint32_t hash, packets = 1;
  int got = dp_egress_read(&thread->egress, DP_WIRE_SUPER, thread->spare, &size, &hash);
  if (got < 0) lose_tun(thread, -got);
  for (size_t at = 0; got > 0 && at < size; at += taken) {
    struct dp_frame frame;
    if (dp_frame_read(DP_WIRE_SUPER, thread->spare + at, size - at, &frame, &taken) != DP_FRAME_WHOLE) break;
    from_host(thread, &frame, now);
    packets += dp_segments(&frame);
  }
  return got > 0 ? packets : 0;
}

void router_forward_from_tun(struct router_thread *thread, uint64_t now) {
  struct dp_turn turn = dp_turn_begin(now);
  int packets = 0;
  // As send_packets of client/loop.c.
  bool first = thread->lone, only = first && thread->tun_iteration + 1 < thread->iteration;
  thread->tun_iteration = thread->iteration;
  for (uint32_t taken; packets < (only ? 1 : TUN_BURST) && !thread->tun_lost && (taken = take_from_tun(thread, now)) > 0;) {
    if (++packets == 1 && first) send_on(thread, now);
    if (dp_turn_is_over(&turn, taken)) break;
  }
  thread->lone = packets <= 1;
  send_on(thread, now);
}

// Returns how many packets it stands for.
static uint32_t from_thread(struct router_thread *thread, uint8_t *bytes, uint32_t length, uint32_t network, uint64_t now) {
  struct dp_frame frame;
  size_t size;
  if (dp_frame_read(DP_WIRE_SUPER, bytes, length, &frame, &size) != DP_FRAME_WHOLE) return 1;
  const struct router_route *route = find_latest_route(thread, frame.packet + 24, now);
  // Meanwhile the device may have disconnected, or connected to another thread.
  struct router_connection *to = route == NULL ? NULL : router_peer_connection(route->peer, thread);
  bool here = to != NULL && to->state == ROUTER_ADMITTED;
  if (!here) dp_add(&thread->drops.offline, 1);
  else receive(to, network, &frame, now);
  return dp_segments(&frame);
}

// False if the turn is over.
static bool from_ring(struct router_thread *thread, struct router_ring *ring, struct dp_turn *turn, uint64_t now) {
  uint32_t length, network;
  uint8_t *bytes;
  bool over = false;
  for (int k = 0; k < RING_BURST && !over && (bytes = router_ring_next(ring, &length, &network)) != NULL; k++) {
    over = dp_turn_is_over(turn, from_thread(thread, bytes, length, network, now));
    router_ring_release(ring, length);
  }
  router_flush_dirty(thread, now);
  return !over;
}

void router_forward_from_rings(struct router_thread *thread, uint64_t now) {
  struct dp_turn turn = dp_turn_begin(dp_now());
  uint32_t threads = thread->router->threads, first = thread->first_ring;
  for (uint32_t i = 0; i < threads; i++) {
    thread->first_ring = (first + i + 1) % threads;
    if (!from_ring(thread, &thread->rings[(first + i) % threads], &turn, now)) return;
  }
}

static struct router_route *own_route(const struct router_thread *thread, const struct router_peer *peer) {
  return (struct router_route *)(void *)router_addresstable_find(&thread->routes, peer->address);
}

void router_add_route(struct router_thread *thread, const struct router_command *command, uint64_t now) {
  struct router_route *route = own_route(thread, command->peer);
  if (route == NULL) {
    route = calloc(1, sizeof *route);
    if (route == NULL) return;
    memcpy(route->entry.address, command->peer->address, sizeof route->entry.address);
    router_addresstable_add(&thread->routes, &route->entry);
  } else {
    // A thread is told twice of a peer of its own: when it admits it, and like the others.
    if (route->peer != command->peer) router_end_delegation(thread, route);
    router_peer_release(route->peer);
  }
  route->peer = router_peer_keep(command->peer);
  route->network = command->network;
  route->group = command->group;
  router_host_routed(thread, command->peer->address, now);
}

void router_remove_route(struct router_thread *thread, const struct router_command *command) {
  struct router_route *route = own_route(thread, command->peer);
  if (route == NULL || route->peer != command->peer) return;
  router_end_delegation(thread, route);
  router_addresstable_remove(&thread->routes, &route->entry);
  router_peer_release(route->peer);
  free(route);
}
