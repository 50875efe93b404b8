// Control messages (docs/wire.md). JavaScript parses what a device says; its length and rate are limited here.
#include "router.h"
#include "packet/bytes.h"
#include <stdlib.h>
#include <string.h>

enum { REPORTS = 3, ROOTS = 8, DECOMMISSIONS = 3 };  // messages of a kind at once
static const uint64_t EVERY = 10000000000;  // nanoseconds per message, after those

void router_request_report(struct router_connection *connection) {
  static const uint8_t request[] = {WIRE_REPORT_REQUEST_TYPE, WIRE_REPORT_REQUEST_SELF};
  if (connection->link.wire != DP_WIRE_PLAIN && dp_link_urgent(&connection->link, request, sizeof request))
    router_mark_dirty(connection);
}

void router_send_message(struct router_connection *connection, const uint8_t *packet, uint32_t length, uint64_t now) {
  uint8_t frame[WIRE_FRAME_HEADER_LENGTH + WIRE_MAX_PACKET];
  if (connection->state != ROUTER_ADMITTED || connection->link.wire == DP_WIRE_PLAIN || length > WIRE_MAX_PACKET) return;
  dp_put16(frame, (uint16_t)length);
  memcpy(frame + WIRE_FRAME_HEADER_LENGTH, packet, length);
  dp_link_queue(&connection->link, frame, WIRE_FRAME_HEADER_LENGTH + length, 0, now);
  router_mark_dirty(connection);
}

// The bucket of a message that JavaScript is to read, and how many of its kind may come at once; NULL if the frame is none.
static uint64_t *bucket_of(struct router_connection *from, const struct dp_frame *frame, uint64_t *at_once) {
  const uint8_t *packet = frame->packet;
  switch (packet[0]) {
    case WIRE_REPORT_TYPE:
      *at_once = REPORTS;
      return frame->length <= WIRE_MAX_REPORT_LENGTH ? &from->reports_until : NULL;
    case WIRE_ROOTS_TYPE:
      *at_once = ROOTS;
      return frame->length == WIRE_ROOTS_KNOWN_LENGTH && packet[1] == WIRE_ROOTS_KNOWN ? &from->roots_until : NULL;
    case WIRE_DECOMMISSION_TYPE:
      *at_once = DECOMMISSIONS;
      return frame->length == WIRE_DECOMMISSION_REQUEST_LENGTH && packet[1] == WIRE_DECOMMISSION_REQUEST ? &from->decommissions_until : NULL;
    default: return NULL;
  }
}

bool router_take_message(struct router_connection *from, const struct dp_frame *frame, uint64_t now) {
  uint64_t at_once = 0, *until = from->link.wire == DP_WIRE_PLAIN ? NULL : bucket_of(from, frame, &at_once);
  if (until == NULL) return false;
  uint64_t burst = at_once * EVERY, saved = now > burst ? now - burst : 0;
  if (*until < saved) *until = saved;
  if (*until + EVERY > now) return false;
  struct router_event *event = calloc(1, sizeof *event);
  if (event == NULL) return false;
  *until += EVERY;
  event->kind = ROUTER_MESSAGE;
  event->peer = router_peer_keep(from->peer);
  event->message_length = frame->length;
  memcpy(event->message, frame->packet, frame->length);
  router_report(from->thread, event);
  return true;
}
