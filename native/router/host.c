// Forwarding to the host. Packets for a device are never given to it, whether the device is connected or not: the host might route them
// elsewhere; unless there are several nodes, and it routes them to the one that has the device. Only the registry knows all devices, so JavaScript looks each address up once that lies in one of the fabric's networks, and
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

// To an address of no device. Where there are several nodes the rules have not been asked yet.
static void to_nobody(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  if (!router_may_be_elsewhere(thread, frame->packet + 24) || router_may_leave(from, 0, frame, now))
    write_to_host(thread, frame, &from->peer->drops);
}

// To a device that is not connected here. If another node has it the kernel knows the way there. Rules name its group, which has to be known.
static void to_device(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  struct router_drops *drops = &from->peer->drops;
  const uint8_t *destination = frame->packet + 24;
  uint32_t network = router_network_of(thread, destination);
  bool known = !router_has_rules(from, network) || router_elsewhere(thread, destination) != NULL;
  if (!router_may_be_elsewhere(thread, destination)) dp_add(&drops->offline, 1);
  else if (!router_are_open(thread, from->network, network)) dp_add(&drops->foreign_network, 1);
  else if (!known) dp_add(&drops->offline, 1);
  else if (router_may_leave(from, network, frame, now)) write_to_host(thread, frame, drops);
}

static void look_up(struct router_connection *from, struct router_target *target, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  struct router_drops *drops = &from->peer->drops;
  uint8_t room[16];
  struct router_lookup *lookup =
      router_lookups_find(&thread->lookups, &from->asker, router_lookup_key(thread, target->address, room), now);
  if (lookup == NULL) {
    dp_add(&drops->queue_full, 1);
    return;
  }
  switch (lookup->state) {
    case ROUTER_LOOKUP_NOBODY:
      target->no_device = true;
      to_nobody(from, frame, now);
      break;
    case ROUTER_LOOKUP_DEVICE: to_device(from, frame, now); break;
    default:
      if (!hold(from, lookup, frame)) dp_add(&drops->queue_full, 1);
      router_host_ask(thread, now);
  }
}

void router_to_host(struct router_connection *from, struct router_target *target, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  if (target->no_device) {
    to_nobody(from, frame, now);
    return;
  }
  uint32_t network = router_network_of(thread, target->address);
  // What is delegated, or may be, is behind a device, which is not connected here. Which one it is matters to rules alone.
  bool asks = thread->router->settings.several && router_has_rules(from, network);
  if (router_is_delegated(thread, target->address) && !asks) {
    to_device(from, frame, now);
    return;
  }
  // Before JavaScript has told the networks any address may be a device's.
  bool may_be_device = thread->networks == NULL || network != 0;
  target->no_device = !may_be_device;
  if (may_be_device) look_up(from, target, frame, now);
  else write_to_host(thread, frame, &from->peer->drops);
}

void router_from_node(struct router_connection *to, uint32_t network, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = to->thread;
  struct router_drops *drops = &thread->drops;
  if (!router_are_open(thread, to->network, network)) {
    dp_add(&drops->foreign_network, 1);
    return;
  }
  if (!router_has_rules(to, network)) {
    router_give(to, network, frame, now);
    return;
  }
  uint8_t room[16];
  struct router_lookup *lookup =
      router_lookups_find(&thread->lookups, &to->asker, router_lookup_key(thread, frame->packet + 8, room), now);
  enum router_lookup_state state = lookup == NULL ? ROUTER_LOOKUP_WAITING : lookup->state;
  if (state == ROUTER_LOOKUP_DEVICE) router_give(to, network, frame, now);
  else if (state == ROUTER_LOOKUP_NOBODY) dp_add(&drops->host_spoofed, 1);
  else if (lookup == NULL || !hold(to, lookup, frame)) dp_add(&drops->queue_full, 1);
  router_host_ask(thread, now);
}

static bool read_held(struct router_held *held, struct dp_frame *frame) {
  size_t size;
  return dp_frame_read(DP_WIRE_SUPER, held->bytes, held->length, frame, &size) == DP_FRAME_WHOLE;
}

// What is held of a device, for one that is not connected here, or for nobody. The rules may be other ones by now.
static void send_held(struct router_held *held, struct dp_frame *frame, enum router_lookup_state answer, uint64_t now) {
  struct router_connection *from = held->sender->connection;
  if (from == NULL) return;
  struct router_thread *thread = from->thread;
  if (answer == ROUTER_LOOKUP_DEVICE || router_is_delegated(thread, frame->packet + 24)) to_device(from, frame, now);
  else if (router_may_leave(from, 0, frame, now)) write_to_host(thread, frame, &held->sender->drops);
  if (thread->has_tun) dp_ingress_flush(&thread->ingress);
  if (thread->refused > 0) dp_add(&held->sender->drops.tun_refused, thread->refused);
  thread->refused = 0;
}

// What is held for a device, of one of another node.
static void give_held(struct router_thread *thread, struct router_held *held, struct dp_frame *frame, enum router_lookup_state answer, uint64_t now) {
  struct router_connection *to = held->sender->connection;
  if (to == NULL) return;
  if (answer == ROUTER_LOOKUP_NOBODY) dp_add(&thread->drops.host_spoofed, 1);
  else router_give(to, router_network_of(thread, frame->packet + 8), frame, now);
  router_flush_dirty(thread, now);
}

// The packets that were held go on: to the host, or to the device if there is a route by now. Forwarding may close connections.
static void settle(struct router_thread *thread, struct router_lookup *lookup, enum router_lookup_state answer, uint64_t now) {
  struct router_chain waiting;
  uint8_t address[16];
  memcpy(address, lookup->entry.address, sizeof address);
  router_lookups_settle(lookup, answer, &waiting);
  for (struct router_held *held; (held = router_lookups_take(&thread->lookups, &waiting)) != NULL; router_held_free(held)) {
    struct dp_frame frame;
    if (!read_held(held, &frame)) continue;
    uint8_t room[16];
    bool elsewhere = router_may_be_elsewhere(thread, address) && router_route_to(thread, address) == NULL;
    if (memcmp(router_lookup_key(thread, frame.packet + 24, room), address, sizeof address) != 0) give_held(thread, held, &frame, answer, now);
    else if (answer == ROUTER_LOOKUP_NOBODY || elsewhere) send_held(held, &frame, answer, now);
    else router_forward_held(held->sender, &frame, now);
  }
}

void router_host_answer(struct router_thread *thread, const struct router_command *command, uint64_t now) {
  const uint8_t *address = command->address;
  enum router_owner what = command->answer;
  struct router_lookup *lookup = router_lookups_of(&thread->lookups, address);
  if (thread->lookups.asked > 0) thread->lookups.asked--;
  if (lookup != NULL) lookup->group = command->group;
  if (lookup != NULL && command->delegated) router_lookups_hold_by(&thread->lookups, lookup, command->device);
  if (lookup != NULL) settle(thread, lookup, what == ROUTER_OWNER_NONE ? ROUTER_LOOKUP_NOBODY : ROUTER_LOOKUP_DEVICE, now);
  // A /64 that nobody has may be given to any device, and nothing tells of that. Forwarding may have closed connections, and their lookups are
  // forgotten with them.
  bool keeps = what == ROUTER_OWNER_DEVICE || (what == ROUTER_OWNER_NONE && !router_is_delegated(thread, address));
  if (!keeps && (lookup = router_lookups_of(&thread->lookups, address)) != NULL)
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
  struct router_lookup *behind = router_lookups_held_by(&thread->lookups, address);
  if (behind != NULL) router_lookups_forget(&thread->lookups, behind);
}
