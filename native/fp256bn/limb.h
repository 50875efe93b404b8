// Numbers as limbs of 64 bits, least significant first: the carries between limbs. Every function takes the same time for all values.
// Where the compiler has no integers of 128 bits (32-bit processors), or with FP256BN_NARROW, each limb is taken as two halves.
#pragma once
#include <stdint.h>

#if defined(__SIZEOF_INT128__) && !defined(FP256BN_NARROW)
typedef unsigned __int128 uint128;

static inline uint64_t add_carry(uint64_t x, uint64_t y, uint64_t *carry) {
  uint128 sum = (uint128)x + y + *carry;
  *carry = (uint64_t)(sum >> 64);
  return (uint64_t)sum;
}

static inline uint64_t sub_borrow(uint64_t x, uint64_t y, uint64_t *borrow) {
  uint128 difference = (uint128)x - y - *borrow;
  *borrow = (uint64_t)(difference >> 64) & 1;
  return (uint64_t)difference;
}

// x·y + z + *carry, whose upper limb is the next carry.
static inline uint64_t multiply_carry(uint64_t x, uint64_t y, uint64_t z, uint64_t *carry) {
  uint128 sum = (uint128)x * y + z + *carry;
  *carry = (uint64_t)(sum >> 64);
  return (uint64_t)sum;
}
#else
// The carries are computed of the highest bits: a comparison may become a branch.
static inline uint64_t add_carry(uint64_t x, uint64_t y, uint64_t *carry) {
  uint64_t sum = x + y + *carry;
  *carry = ((x & y) | ((x | y) & ~sum)) >> 63;
  return sum;
}

static inline uint64_t sub_borrow(uint64_t x, uint64_t y, uint64_t *borrow) {
  uint64_t difference = x - y - *borrow;
  *borrow = ((~x & y) | ((~x | y) & difference)) >> 63;
  return difference;
}

// (2^32 − 1)^2 + 2·(2^32 − 1) = 2^64 − 1: no sum of a product and two halves overflows.
static inline uint64_t multiply_carry(uint64_t x, uint64_t y, uint64_t z, uint64_t *carry) {
  uint32_t x0 = (uint32_t)x, x1 = (uint32_t)(x >> 32), y0 = (uint32_t)y, y1 = (uint32_t)(y >> 32);
  uint64_t low = (uint64_t)x0 * y0 + (uint32_t)z + (uint32_t)*carry;
  uint64_t cross = (uint64_t)x0 * y1 + (z >> 32) + (low >> 32);
  uint64_t middle = (uint64_t)x1 * y0 + (*carry >> 32) + (uint32_t)cross;
  *carry = (uint64_t)x1 * y1 + (cross >> 32) + (middle >> 32);
  return middle << 32 | (uint32_t)low;
}
#endif
