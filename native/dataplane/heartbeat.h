// The heartbeat of enftun (docs/wire.md): an ICMPv6 echo request to fe80::1 that never changes, and when it is due.
#pragma once
#include "packet/wire.h"
#include <stdbool.h>
#include <stdint.h>

// `out` has WIRE_HEARTBEAT_LENGTH; `own` is the device's address, 16 bytes.
void dp_heartbeat_write(const uint8_t *own, uint8_t *out);
// The answer to it: from fe80::1, with a right checksum, so that no other device in the network can forge it.
bool dp_heartbeat_is_reply(const uint8_t *own, const uint8_t *packet, uint32_t length);

// Detects a dead router: anything that is received counts as an answer. All times are in nanoseconds of one clock.
struct dp_silence {
  uint64_t period, timeout;
  uint64_t beat_at;    // when the next heartbeat is due if nothing is received
  uint64_t answer_by;  // UINT64_MAX: no answer is awaited
  uint64_t heard;      // when something was received last, or it began
};

void dp_silence_start(struct dp_silence *silence, uint32_t period_ms, uint32_t timeout_ms, uint64_t now);
void dp_silence_heard(struct dp_silence *silence, uint64_t now);
// Takes what is shorter from now on. An answer that is awaited may take as long as before.
void dp_silence_shorten(struct dp_silence *silence, uint32_t period_ms, uint32_t timeout_ms, uint64_t now);
// A heartbeat goes out now.
void dp_silence_beat(struct dp_silence *silence, uint64_t now);
// Shortens the time for the answer that is awaited.
void dp_silence_hurry(struct dp_silence *silence, uint64_t now);
static inline bool dp_silence_awaits(const struct dp_silence *silence) { return silence->answer_by != UINT64_MAX; }
// When the next deadline is.
static inline uint64_t dp_silence_next(const struct dp_silence *silence) {
  return silence->beat_at < silence->answer_by ? silence->beat_at : silence->answer_by;
}
