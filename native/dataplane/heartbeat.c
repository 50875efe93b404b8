#include "heartbeat.h"
#include "bytes.h"
#include "checksum.h"
#include "clock.h"
#include "packet.h"

enum { ICMPV6 = 58, ECHO_REQUEST = 128, ECHO_REPLY = 129, HOP_LIMIT = 255, ECHO_BYTES = 8 };

// Longer than any path takes, and short enough for a reconnect within ten seconds of a resume.
static const uint64_t HURRY = 5000ull * DP_MILLISECOND;

static const uint8_t ROUTER[16] = {0xfe, 0x80, [15] = 1};
static const uint8_t MARK[4] = {'E', 'N', 'F', 'T'};  // identifier and sequence

static uint16_t icmp_sum(const uint8_t *packet) {
  return dp_fold(dp_pseudo_sum(packet, ICMPV6, ECHO_BYTES) + dp_sum(packet + DP_IPV6_HEADER, ECHO_BYTES));
}

void dp_heartbeat_write(const uint8_t *own, uint8_t *out) {
  memset(out, 0, DP_HEARTBEAT_BYTES);
  out[0] = 0x60;
  dp_put16(out + 4, ECHO_BYTES);
  out[6] = ICMPV6;
  out[7] = HOP_LIMIT;
  memcpy(out + 8, own, 16);
  memcpy(out + 24, ROUTER, 16);
  out[40] = ECHO_REQUEST;
  memcpy(out + 44, MARK, sizeof MARK);
  dp_put_sum(out + 42, (uint16_t)~icmp_sum(out));
}

bool dp_heartbeat_is_reply(const uint8_t *own, const uint8_t *packet, uint32_t length) {
  return length == DP_HEARTBEAT_BYTES && packet[0] >> 4 == 6 && dp_get16(packet + 4) == ECHO_BYTES && packet[6] == ICMPV6 &&
         packet[40] == ECHO_REPLY && packet[41] == 0 && memcmp(packet + 8, ROUTER, 16) == 0 &&
         memcmp(packet + 24, own, 16) == 0 && memcmp(packet + 44, MARK, sizeof MARK) == 0 && icmp_sum(packet) == 0xffff;
}

void dp_silence_start(struct dp_silence *silence, uint32_t period_ms, uint32_t patience_ms, uint64_t now) {
  silence->period = (uint64_t)period_ms * DP_MILLISECOND;
  silence->patience = (uint64_t)patience_ms * DP_MILLISECOND;
  silence->beat_at = now + silence->period;
  silence->answer_by = UINT64_MAX;
}

void dp_silence_heard(struct dp_silence *silence, uint64_t now) {
  silence->beat_at = now + silence->period;
  silence->answer_by = UINT64_MAX;
}

void dp_silence_beat(struct dp_silence *silence, uint64_t now) {
  silence->beat_at = now + silence->period;
  if (silence->answer_by == UINT64_MAX) silence->answer_by = now + silence->patience;
}

void dp_silence_hurry(struct dp_silence *silence, uint64_t now) {
  uint64_t soon = now + HURRY;
  if (soon < silence->answer_by) silence->answer_by = soon;
}
