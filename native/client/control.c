#include "control.h"
#include "dataplane/bytes.h"

// The verdict. The connection is over with it, unless it is one of a later version.
static bool take_verdict(struct dp_agent *agent, const struct dp_frame *frame) {
  const uint8_t *packet = frame->packet;
  if (frame->length != WIRE_VERDICT_LENGTH) return true;
  struct dp_event event = {
      .kind = DP_EVENT_VERDICT, .connection = agent->connection.id, .verdict = packet[1], .number = dp_get32(packet + 2)};
  if (event.verdict < WIRE_VERDICT_EVICTED || event.verdict > WIRE_VERDICT_RETRY_AFTER) return true;
  if (event.verdict != WIRE_VERDICT_RETRY_AFTER && event.number != 0) return true;
  agent->report(agent->owner, &event);
  return false;
}

// The router asks for a report. If it asks again it gets none.
static bool take_report_request(struct dp_agent *agent, const struct dp_frame *frame) {
  struct dp_connection *connection = &agent->connection;
  if (frame->length != WIRE_REPORT_REQUEST_LENGTH || frame->packet[1] != WIRE_REPORT_REQUEST_SELF || connection->asked) return true;
  connection->asked = true;
  dp_agent_report(agent, DP_EVENT_ASKED, 0, "");
  return true;
}

bool dp_control_take(struct dp_agent *agent, const struct dp_frame *frame) {
  if (agent->connection.link.wire == DP_WIRE_PLAIN) return true;
  switch (frame->packet[0]) {
    case WIRE_VERDICT_TYPE: return take_verdict(agent, frame);
    case WIRE_REPORT_REQUEST_TYPE: return take_report_request(agent, frame);
    default: return true;
  }
}

void dp_agent_tell(struct dp_agent *agent, uint32_t id, const uint8_t *packet, uint32_t length) {
  struct dp_connection *connection = &agent->connection;
  if (agent->connected && connection->asked && connection->id == id) (void)dp_link_urgent(&connection->link, packet, length);
}
