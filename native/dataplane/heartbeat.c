#include "heartbeat.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/clock.h"
#include "packet/packet.h"
#include <string.h>

// Longer than any round trip, and short enough for a reconnect within ten seconds after a system's resume.
static const uint64_t PROBE_TIMEOUT = 5000ull * DP_MILLISECOND;

static uint16_t icmp_sum(const uint8_t *packet) {
  return dp_fold(dp_pseudo_sum(packet, WIRE_ICMPV6, WIRE_ECHO_HEADER_LENGTH) + dp_sum(packet + DP_IPV6_HEADER, WIRE_ECHO_HEADER_LENGTH));
}

void dp_heartbeat_write(const uint8_t *own, uint8_t *out) {
  memset(out, 0, WIRE_HEARTBEAT_LENGTH);
  out[0] = 0x60;
  dp_put16(out + 4, WIRE_ECHO_HEADER_LENGTH);
  out[6] = WIRE_ICMPV6;
  out[7] = WIRE_HOP_LIMIT;
  memcpy(out + 8, own, 16);
  memcpy(out + 24, WIRE_ROUTER_ADDRESS, 16);
  out[40] = WIRE_ECHO_REQUEST;
  memcpy(out + 44, WIRE_HEARTBEAT_MARK, strlen(WIRE_HEARTBEAT_MARK));
  dp_put_sum(out + 42, (uint16_t)~icmp_sum(out));
}

bool dp_heartbeat_is_reply(const uint8_t *own, const uint8_t *packet, uint32_t length) {
  return length == WIRE_HEARTBEAT_LENGTH && packet[0] >> 4 == 6 && dp_get16(packet + 4) == WIRE_ECHO_HEADER_LENGTH && packet[6] == WIRE_ICMPV6 &&
         packet[40] == WIRE_ECHO_REPLY && packet[41] == 0 && memcmp(packet + 8, WIRE_ROUTER_ADDRESS, 16) == 0 &&
         memcmp(packet + 24, own, 16) == 0 && memcmp(packet + 44, WIRE_HEARTBEAT_MARK, strlen(WIRE_HEARTBEAT_MARK)) == 0 && icmp_sum(packet) == 0xffff;
}

void dp_silence_start(struct dp_silence *silence, uint32_t period_ms, uint32_t timeout_ms, uint64_t now) {
  silence->period = (uint64_t)period_ms * DP_MILLISECOND;
  silence->timeout = (uint64_t)timeout_ms * DP_MILLISECOND;
  silence->heard = now;
  silence->beat_at = now + silence->period;
  silence->answer_by = UINT64_MAX;
}

void dp_silence_shorten(struct dp_silence *silence, uint32_t period_ms, uint32_t timeout_ms, uint64_t now) {
  uint64_t period = (uint64_t)period_ms * DP_MILLISECOND, timeout = (uint64_t)timeout_ms * DP_MILLISECOND;
  if (period < silence->period) silence->period = period;
  if (timeout < silence->timeout) silence->timeout = timeout;
  if (now + silence->period < silence->beat_at) silence->beat_at = now + silence->period;
}

void dp_silence_heard(struct dp_silence *silence, uint64_t now) {
  silence->heard = now;
  silence->beat_at = now + silence->period;
  silence->answer_by = UINT64_MAX;
}

void dp_silence_beat(struct dp_silence *silence, uint64_t now) {
  silence->beat_at = now + silence->period;
  if (!dp_silence_awaits(silence)) silence->answer_by = now + silence->timeout;
}

void dp_silence_hurry(struct dp_silence *silence, uint64_t now) {
  uint64_t soon = now + PROBE_TIMEOUT;
  if (soon < silence->answer_by) silence->answer_by = soon;
}
