// The clock of the threads that carry packets.
#pragma once
#include <stdint.h>
#include <time.h>

enum { DP_MILLISECOND = 1000000 };  // in its unit

// Monotonic, in nanoseconds.
static inline uint64_t dp_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
