// Control messages (docs/wire.md). JavaScript parses a device's report; its length and rate are limited here.
#include "router.h"
#include <stdlib.h>
#include <string.h>

enum { BURST = 3 };
static const uint64_t EVERY = 10000000000;  // nanoseconds per report, after the first BURST

void router_request_report(struct router_connection *connection) {
  static const uint8_t request[] = {WIRE_REPORT_REQUEST_TYPE, WIRE_REPORT_REQUEST_SELF};
  if (connection->link.wire != DP_WIRE_PLAIN && dp_link_urgent(&connection->link, request, sizeof request))
    router_mark_dirty(connection);
}

bool router_take_report(struct router_connection *from, const struct dp_frame *frame, uint64_t now) {
  if (from->link.wire == DP_WIRE_PLAIN || frame->length > WIRE_MAX_REPORT_LENGTH || frame->packet[0] != WIRE_REPORT_TYPE) return false;
  uint64_t saved = now > BURST * EVERY ? now - BURST * EVERY : 0;
  if (from->reports_until < saved) from->reports_until = saved;
  if (from->reports_until + EVERY > now) return false;
  struct router_event *event = calloc(1, sizeof *event);
  if (event == NULL) return false;
  from->reports_until += EVERY;
  event->kind = ROUTER_REPORTED;
  event->peer = router_peer_keep(from->peer);
  event->report_length = frame->length;
  memcpy(event->report, frame->packet, frame->length);
  router_report(from->thread, event);
  return true;
}
