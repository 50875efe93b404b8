// What devices tell of themselves (docs/wire.md, "Report"). JavaScript reads it; here it is kept small, and rare.
#include "router.h"
#include <stdlib.h>
#include <string.h>

enum { QUESTION = 0xf2, ABOUT_YOURSELF = 1, REPORT = 0xf3, BURST = 3 };
static const uint64_t EVERY = 10000000000;  // nanoseconds per report, once the first few have come

void router_ask_report(struct router_connection *connection) {
  static const uint8_t question[] = {QUESTION, ABOUT_YOURSELF};
  if (connection->link.wire != DP_WIRE_PLAIN && dp_link_urgent(&connection->link, question, sizeof question))
    router_touch(connection);
}

bool router_take_report(struct router_connection *from, const struct dp_frame *frame, uint64_t now) {
  if (from->link.wire == DP_WIRE_PLAIN || frame->length > ROUTER_REPORT || frame->packet[0] != REPORT) return false;
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
