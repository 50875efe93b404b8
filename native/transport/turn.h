// How much a thread does for one peer before the others get their turn.
#pragma once
#include "packet/clock.h"
#include <stdbool.h>

enum {
  DP_TURN_NS = 1000000,
  DP_TURN_RECORDS = 512,
  DP_TURN_BYTES = 512 * 1024,  // of records, as they come from the socket
  DP_TURN_PACKETS = 16,        // between two looks at the clock
};

struct dp_turn {
  uint64_t until;
  uint32_t packets;  // since the last look at the clock
};

static inline struct dp_turn dp_turn_begin(uint64_t now) { return (struct dp_turn){.until = now + DP_TURN_NS}; }

// To be told of each piece of work, in packets: a large one counts as those it is cut to.
static inline bool dp_turn_is_over(struct dp_turn *turn, uint32_t packets) {
  turn->packets += packets;
  if (turn->packets < DP_TURN_PACKETS) return false;
  turn->packets = 0;
  return dp_now() >= turn->until;
}
