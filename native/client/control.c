#include "control.h"
#include "packet/bytes.h"
#include "packet/clock.h"

enum { MOST_CONTROLS = 32 };  // passed on in one connection: a notice and some updates are usual

static bool has_seconds(uint32_t verdict) {
  return verdict == WIRE_VERDICT_BANNED || verdict == WIRE_VERDICT_RETRY_AFTER || verdict == WIRE_VERDICT_SUSPENDED;
}

// A valid verdict ends the connection; one of an unknown kind is ignored.
static bool take_verdict(struct dp_client *client, const struct dp_frame *frame) {
  const uint8_t *packet = frame->packet;
  if (frame->length != WIRE_VERDICT_LENGTH) return true;
  struct dp_event event = {
      .kind = DP_EVENT_VERDICT, .connection = client->connection.id, .verdict = packet[1], .number = dp_get32(packet + 2)};
  if (event.verdict < WIRE_VERDICT_EVICTED || event.verdict > WIRE_VERDICT_RETIRED) return true;
  if (!has_seconds(event.verdict) && event.number != 0) return true;
  client->report(client->owner, &event);
  return false;
}

// The router asks for a report. Only the first request of a connection counts.
static bool take_report_request(struct dp_client *client, const struct dp_frame *frame) {
  struct dp_connection *connection = &client->connection;
  if (frame->length != WIRE_REPORT_REQUEST_LENGTH || frame->packet[1] != WIRE_REPORT_REQUEST_SELF || connection->asked) return true;
  connection->asked = true;
  dp_client_report(client, DP_EVENT_ASKED, 0, "");
  return true;
}

// Shorter heartbeats, for this connection. The bounds keep a router from having its devices flood it, or give it up on any slow path.
static bool take_beats(struct dp_client *client, const struct dp_frame *frame) {
  if (!client->rules.shortened || frame->length != WIRE_BEATS_LENGTH || frame->packet[1] != WIRE_BEATS_AT_MOST) return true;
  uint32_t period = dp_get32(frame->packet + 2), timeout = dp_get32(frame->packet + 6);
  if (period >= WIRE_BEATS_LEAST_PERIOD && timeout >= WIRE_BEATS_LEAST_TIMEOUT)
    dp_silence_shorten(&client->connection.silence, period, timeout, dp_now());
  return true;
}

// About roots, a delegated prefix, the pace, a drain, or a request of ours that was refused. JavaScript reads it.
static bool pass_on(struct dp_client *client, const struct dp_frame *frame) {
  struct dp_connection *connection = &client->connection;
  if (connection->controls < MOST_CONTROLS) {
    connection->controls++;
    client->control(client->owner, connection->id, frame->packet, frame->length);
  }
  return true;
}

bool dp_control_take(struct dp_client *client, const struct dp_frame *frame) {
  if (client->connection.link.wire == DP_WIRE_PLAIN) return true;
  switch (frame->packet[0]) {
    case WIRE_VERDICT_TYPE: return take_verdict(client, frame);
    case WIRE_REPORT_REQUEST_TYPE: return take_report_request(client, frame);
    case WIRE_BEATS_TYPE: return take_beats(client, frame);
    case WIRE_ROOTS_TYPE:
    case WIRE_PREFIX_TYPE:
    case WIRE_PACE_TYPE:
    case WIRE_DRAIN_TYPE:
    case WIRE_DECOMMISSION_TYPE: return pass_on(client, frame);
    default: return true;
  }
}

void dp_client_send_control(struct dp_client *client, uint32_t id, const uint8_t *packet, uint32_t length) {
  struct dp_connection *connection = &client->connection;
  if (client->connected && connection->asked && connection->id == id) (void)dp_link_urgent(&connection->link, packet, length);
}
