// A token bucket: packets or bytes that may pass in a second. It is exact over any time, and goes by the clock that it is given.
//
// What comes passes as long as nothing is owed, whole, and may leave a debt that the time to come pays: a burst in one frame stays together, and
// passes however small the bucket is.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
  ROUTER_METER_TOKEN = 1000000000,  // a packet or a byte in units of the level: what one nanosecond brings at one in a second
  ROUTER_METER_DEAREST = 1 << 18,   // more than one frame costs: 64 KB of payload with headers for each 48 of them
  ROUTER_METER_SHARE = 4,           // a full bucket has what this part of a second brings, or `least` if that is more
};

static const uint64_t ROUTER_METER_MOST = 10000000000;  // the highest rate: what is computed here stays below 2^63

struct router_meter {
  uint64_t rate;  // in a second; 0: no limit
  int64_t level, full;
  uint64_t at;      // when the level was so
  uint64_t filled;  // nanoseconds in which it is full again, whatever is owed
};

// Nothing if that is its rate already. A bucket begins empty: whoever connects again and again gains nothing.
static inline void router_meter_set(struct router_meter *meter, uint64_t rate, uint64_t least, uint64_t now) {
  if (meter->rate == rate) return;
  uint64_t full = rate / ROUTER_METER_SHARE;
  if (full < least) full = least;
  *meter = (struct router_meter){.rate = rate, .full = (int64_t)(full * ROUTER_METER_TOKEN), .at = now};
  if (rate > 0) meter->filled = (full + ROUTER_METER_DEAREST) * ROUTER_METER_TOKEN / rate + 1;
}

// May something pass now?
static inline bool router_meter_open(struct router_meter *meter, uint64_t now) {
  if (meter->rate == 0) return true;
  if (now > meter->at) {
    uint64_t passed = now - meter->at;
    meter->at = now;
    int64_t level = passed < meter->filled ? meter->level + (int64_t)(passed * meter->rate) : meter->full;
    meter->level = level < meter->full ? level : meter->full;
  }
  return meter->level >= 0;
}

// It has passed.
static inline void router_meter_take(struct router_meter *meter, uint64_t amount) {
  if (meter->rate > 0) meter->level -= (int64_t)(amount * ROUTER_METER_TOKEN);
}
