// Numbers mod n, secret or not: constant time throughout, except scalar_decode's and scalar_is_zero's answers.
#pragma once
#include "types.h"

#define DRAW_LENGTH 65

// 32 bytes, big-endian, below n: false otherwise (ecdaa.md §2). How long it takes does not depend on the bytes.
bool scalar_decode(scalar *r, const uint8_t *bytes);
void scalar_encode(uint8_t *bytes, const scalar *x);
// 32 bytes, big-endian, mod n: a digest as a scalar.
void scalar_from_digest(scalar *r, const uint8_t *digest);
// A uniform scalar from 65 random bytes, of which 64 count: the number whose most significant bit is the least significant bit
// of the first byte, mod n (§3).
void scalar_from_draw(scalar *r, const uint8_t *draw);
bool scalar_is_zero(const scalar *x);
void scalar_add(scalar *r, const scalar *x, const scalar *y);
void scalar_mul(scalar *r, const scalar *x, const scalar *y);

// A scalar as k1 + k2·λ with |k1|, |k2| < 2^129, λ being what (x, y) → (BETA·x, y) multiplies with.
struct half {
  uint64_t limb[3];
  // All ones if the number is negative, else zero; `limb` holds its absolute value.
  uint64_t negative;
};
void glv_split(struct half *k1, struct half *k2, const scalar *k);

// Windows of 4 bits over 132 bits: a half scalar is below 2^129, so the last one leaves no carry.
#define HALF_WINDOWS 33
// Digits −7 … 8 of a half scalar, least significant first; the half's own sign is applied.
void half_windows(int8_t digits[HALF_WINDOWS], const struct half *h);
