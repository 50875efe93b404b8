// Forwarding to the host. Packets for a device are never given to it, whether the device is connected or not: the host might route them
// elsewhere. Only the registry knows all devices, so JavaScript looks each address up once, and packets are held until it has answered,
// or until the device, which may have just been admitted, has a route.
#include "router.h"
#include <stdlib.h>
#include <string.h>

enum {
  REMEMBERED = 4096,          // addresses
  HELD_BYTES = 256 * 1024,    // of packets, in all
  ASKED_AT_MOST = 200,        // lookups per ASKING_NS: a device may scan addresses
  ASKING_NS = 100000000,
};

// A packet that is held.
struct held {
  struct held *next;
  struct router_peer *sender;
  uint32_t length;
  uint8_t bytes[];  // a frame
};

struct router_lookup {
  struct router_addresstable_entry entry;
  struct router_lookup *younger, *older;
  bool answered, devices;
  struct held *first, **last;
};

static struct router_lookup *find(struct router_thread *thread, const uint8_t address[16]) {
  return (struct router_lookup *)(void *)router_addresstable_find(&thread->lookups, address);
}

static struct held *take_held(struct router_thread *thread, struct router_lookup *answer) {
  struct held *held = answer->first;
  if (held == NULL) return NULL;
  answer->first = held->next;
  if (answer->first == NULL) answer->last = &answer->first;
  thread->held_bytes -= held->length;
  return held;
}

static void free_held(struct held *held) {
  router_peer_release(held->sender);
  free(held);
}

static void drop_held(struct router_thread *thread, struct router_lookup *answer) {
  for (struct held *held; (held = take_held(thread, answer)) != NULL; free_held(held)) dp_add(&held->sender->drops.offline, 1);
}

static void forget(struct router_thread *thread, struct router_lookup *answer) {
  drop_held(thread, answer);
  router_addresstable_remove(&thread->lookups, &answer->entry);
  if (answer->older != NULL) answer->older->younger = answer->younger;
  else thread->oldest = answer->younger;
  if (answer->younger != NULL) answer->younger->older = answer->older;
  else thread->newest = answer->older;
  free(answer);
}

static bool may_ask(struct router_thread *thread, uint64_t now) {
  if (now - thread->asked_since >= ASKING_NS) {
    thread->asked_since = now;
    thread->asked = 0;
  }
  return thread->asked++ < ASKED_AT_MOST;
}

static struct router_lookup *ask(struct router_thread *thread, const uint8_t *address, uint64_t now) {
  if (!may_ask(thread, now)) return NULL;
  struct router_lookup *answer = calloc(1, sizeof *answer);
  struct router_event *event = calloc(1, sizeof *event);
  if (answer == NULL || event == NULL) {
    free(answer);
    free(event);
    return NULL;
  }
  if (thread->lookups.count >= REMEMBERED) forget(thread, thread->oldest);
  memcpy(answer->entry.address, address, sizeof answer->entry.address);
  answer->last = &answer->first;
  answer->older = thread->newest;
  if (thread->newest != NULL) thread->newest->younger = answer;
  else thread->oldest = answer;
  thread->newest = answer;
  router_addresstable_add(&thread->lookups, &answer->entry);
  event->kind = ROUTER_ASKS;
  event->thread = thread->index;
  memcpy(event->address, address, sizeof event->address);
  router_report(thread, event);
  return answer;
}

// False if there is no room.
static bool hold(struct router_thread *thread, struct router_lookup *answer, struct router_peer *sender,
                 const struct dp_frame *frame) {
  uint32_t size = dp_frame_size(frame);
  struct held *held = thread->held_bytes + size > HELD_BYTES ? NULL : malloc(sizeof *held + size);
  if (held == NULL) return false;
  *held = (struct held){.sender = router_peer_keep(sender), .length = size};
  dp_frame_copy(frame, held->bytes);
  *answer->last = held;
  answer->last = &held->next;
  thread->held_bytes += size;
  return true;
}

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

void router_to_host(struct router_connection *from, struct dp_frame *frame, uint64_t now) {
  struct router_thread *thread = from->thread;
  struct router_drops *drops = &from->peer->drops;
  struct router_lookup *answer = find(thread, frame->packet + 24);
  if (answer == NULL) answer = ask(thread, frame->packet + 24, now);
  if (answer == NULL) {
    dp_add(&drops->queue_full, 1);
  } else if (!answer->answered) {
    if (!hold(thread, answer, from->peer, frame)) dp_add(&drops->queue_full, 1);
  } else if (answer->devices) {
    dp_add(&drops->offline, 1);
  } else {
    write_to_host(thread, frame, drops);
  }
}

static bool read_held(struct held *held, struct dp_frame *frame) {
  size_t size;
  return dp_frame_read(DP_WIRE_SUPER, held->bytes, held->length, frame, &size) == DP_FRAME_WHOLE;
}

// Sends the packets that were held to the host.
static void send_held(struct router_thread *thread, struct router_lookup *answer) {
  for (struct held *held; (held = take_held(thread, answer)) != NULL; free_held(held)) {
    struct dp_frame frame;
    if (!read_held(held, &frame)) continue;
    write_to_host(thread, &frame, &held->sender->drops);
    if (thread->has_tun) dp_ingress_flush(&thread->ingress);
    if (thread->refused > 0) dp_add(&held->sender->drops.tun_refused, thread->refused);
    thread->refused = 0;
  }
}

// Sends the packets that were held to the device, if there is a route by now.
static void pass_held(struct router_thread *thread, struct router_lookup *answer, uint64_t now) {
  for (struct held *held; (held = take_held(thread, answer)) != NULL; free_held(held)) {
    struct dp_frame frame;
    if (read_held(held, &frame)) router_forward_held(held->sender, &frame, now);
  }
}

void router_host_answer(struct router_thread *thread, const uint8_t address[16], enum router_owner what, uint64_t now) {
  struct router_lookup *answer = find(thread, address);
  if (answer == NULL) return;
  answer->answered = true;
  answer->devices = what != ROUTER_OWNER_NONE;
  if (what == ROUTER_OWNER_NONE) send_held(thread, answer);
  else pass_held(thread, answer, now);
  if (what == ROUTER_OWNER_UNKNOWN) forget(thread, answer);
}

void router_host_routed(struct router_thread *thread, const uint8_t address[16], uint64_t now) {
  struct router_lookup *answer = find(thread, address);
  if (answer != NULL) pass_held(thread, answer, now);
}

void router_host_forget(struct router_thread *thread, const uint8_t address[16]) {
  struct router_lookup *answer = find(thread, address);
  // An answer that is still awaited will be newer than the change that makes us forget.
  if (answer != NULL && answer->answered) forget(thread, answer);
}

void router_host_free(struct router_thread *thread) {
  while (thread->oldest != NULL) forget(thread, thread->oldest);
}
