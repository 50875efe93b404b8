// Forwarding to the host. Packets for a device are never given to it, whether the device is connected or not: the host might route them
// elsewhere. Only the registry knows all devices, so JavaScript looks each address up once that lies in one of the fabric's networks, and
// packets are held until it has answered, or until the device, which may have just been admitted, has a route.
#include "router.h"
#include <stdlib.h>
#include <string.h>

// Joined with others if possible; whether the kernel took it is counted when the batch ends.
static void write_to_host(struct router_thread *thread, struct dp_frame *frame, struct router_drops *drops) {
  uint64_t refused = dp_value(&thread->counters.in_refused);
  if (!thread->has_tun) {
    dp_add(&drops->no_tun, 1);
    return;
  }
  dp_ingress_take(&thread->ingress, frame);
  thread->refused += dp_value(&thread->counters.in_refused) - refused;
}

static void report_question(struct router_thread *thread, const uint8_t *address) {
  struct router_event *event = calloc(1, sizeof *event);
  if (event == NULL) {
    thread->lookups.asked--;
    router_lookups_forget(&thread->lookups, router_lookups_of(&thread->lookups, address));
    return;
  }
  event->kind = ROUTER_ASKS;
  event->thread = thread->index;
  memcpy(event->address, address, sizeof event->address);
  router_report(thread, event);
}

void router_host_ask(struct router_thread *thread, uint64_t now) {
  for (const uint8_t *address; (address = router_lookups_next(&thread->lookups, now)) != NULL;) report_question(thread, address);
}

static bool hold(struct router_connection *from, struct router_lookup *lookup, const struct dp_frame *frame) {
  uint8_t *room = router_lookups_hold(&from->thread->lookups, lookup, &from->asker, dp_frame_size(frame));
  if (room != NULL) dp_frame_copy(frame, room);
  return room != NULL;
}

static void look_up(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  struct router_drops *drops = &from->peer->drops;
  struct router_lookup *lookup = router_lookups_find(&thread->lookups, &from->asker, frame->packet + 24);
  if (lookup == NULL) {
    dp_add(&drops->queue_full, 1);
    return;
  }
  switch (lookup->state) {
    case ROUTER_LOOKUP_NOBODY: write_to_host(thread, frame, drops); break;
    case ROUTER_LOOKUP_DEVICE: dp_add(&drops->offline, 1); break;
    default:
      if (!hold(from, lookup, frame)) dp_add(&drops->queue_full, 1);
      router_host_ask(thread, now);
  }
}

void router_to_host(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  // What is delegated, or may be, is behind a device, which is not connected.
  if (thread->networks != NULL && router_networks_delegate(thread->networks, frame->packet + 24)) {
    dp_add(&from->peer->drops.offline, 1);
    return;
  }
  // Before JavaScript has told the networks any address may be a device's.
  bool may_be_device = thread->networks == NULL || router_network_of(thread, frame->packet + 24) != 0;
  if (may_be_device) look_up(from, frame, now);
  else write_to_host(thread, frame, &from->peer->drops);
}

static bool read_held(struct router_held *held, struct dp_frame *frame) {
  size_t size;
  return dp_frame_read(DP_WIRE_SUPER, held->bytes, held->length, frame, &size) == DP_FRAME_WHOLE;
}

// The rules may be other ones by now.
static void send_held(struct router_thread *thread, struct router_held *held, uint64_t now) {
  struct dp_frame frame;
  struct router_connection *from = held->sender->connection;
  if (from == NULL || !read_held(held, &frame) || !router_may_leave(from, 0, &frame, now)) return;
  write_to_host(thread, &frame, &held->sender->drops);
  if (thread->has_tun) dp_ingress_flush(&thread->ingress);
  if (thread->refused > 0) dp_add(&held->sender->drops.tun_refused, thread->refused);
  thread->refused = 0;
}

// The packets that were held go to the host, or to the device if there is a route by now. Forwarding may close connections.
static void settle(struct router_thread *thread, struct router_lookup *lookup, enum router_lookup_state answer, uint64_t now) {
  struct router_chain waiting;
  router_lookups_settle(lookup, answer, &waiting);
  for (struct router_held *held; (held = router_lookups_take(&thread->lookups, &waiting)) != NULL; router_held_free(held)) {
    struct dp_frame frame;
    if (answer == ROUTER_LOOKUP_NOBODY) send_held(thread, held, now);
    else if (read_held(held, &frame)) router_forward_held(held->sender, &frame, now);
  }
}

void router_host_answer(struct router_thread *thread, const uint8_t address[16], enum router_owner what, uint64_t now) {
  struct router_lookup *lookup = router_lookups_of(&thread->lookups, address);
  if (thread->lookups.asked > 0) thread->lookups.asked--;
  if (lookup != NULL) settle(thread, lookup, what == ROUTER_OWNER_NONE ? ROUTER_LOOKUP_NOBODY : ROUTER_LOOKUP_DEVICE, now);
  // Forwarding may have closed connections, and their lookups are forgotten with them.
  if (what == ROUTER_OWNER_UNKNOWN && (lookup = router_lookups_of(&thread->lookups, address)) != NULL)
    router_lookups_forget(&thread->lookups, lookup);
  router_host_ask(thread, now);
}

void router_host_routed(struct router_thread *thread, const uint8_t address[16], uint64_t now) {
  struct router_lookup *lookup = router_lookups_of(&thread->lookups, address);
  // Whatever the answer was, or will be: it is a device's.
  if (lookup != NULL) settle(thread, lookup, ROUTER_LOOKUP_DEVICE, now);
}

void router_host_forget(struct router_thread *thread, const uint8_t address[16]) {
  struct router_lookup *lookup = router_lookups_of(&thread->lookups, address);
  // An answer that is still awaited will be newer than the change that makes us forget.
  if (lookup != NULL && lookup->state >= ROUTER_LOOKUP_NOBODY) router_lookups_forget(&thread->lookups, lookup);
}
