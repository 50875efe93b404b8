// The base field in eight lanes: five limbs of 52 bits, Montgomery form x·2^260. A value is at most 16p, and the comments give
// bounds in units of p: products of operands with bounds a and b have the bound ab/16 + 1. Limbs of operands of a product must
// be below 2^52 (`carry`). Included by the files of this folder only.
#pragma once
#include "fp256bn/lanes.h"
#include "numbers/lanes.h"

#define LIMBS 5
#define LIMB_MASK 0xfffffffffffffULL

typedef struct { __m512i limb[LIMBS]; } lanes;
// A sum of products before reduction.
typedef struct { __m512i limb[2 * LIMBS]; } wide_lanes;

LANE_FUNCTION lanes lanes_constant(const uint64_t *limbs) {
  lanes r;
  UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = all_lanes(limbs[i]);
  return r;
}

LANE_FUNCTION lanes lanes_zero(void) {
  lanes r;
  UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = _mm512_setzero_si512();
  return r;
}

// Brings limbs below 2^52; they may be negative before, the value may not.
LANE_FUNCTION lanes carry(lanes x) {
  const __m512i mask = all_lanes(LIMB_MASK);
  UNROLL for (int i = 0; i < LIMBS - 1; i++) {
    x.limb[i + 1] = _mm512_add_epi64(x.limb[i + 1], _mm512_srai_epi64(x.limb[i], 52));
    x.limb[i] = _mm512_and_si512(x.limb[i], mask);
  }
  return x;
}

LANE_FUNCTION lanes lanes_add(lanes x, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_add_epi64(x.limb[i], y.limb[i]);
  return x;
}

// x − y + multiple, a multiple of p that is not below y.
LANE_FUNCTION lanes lanes_sub(lanes x, lanes y, const uint64_t *multiple) {
  UNROLL for (int i = 0; i < LIMBS; i++)
    x.limb[i] = _mm512_add_epi64(_mm512_sub_epi64(x.limb[i], y.limb[i]), all_lanes(multiple[i]));
  return x;
}

LANE_FUNCTION lanes lanes_shift(lanes x, unsigned bits) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_slli_epi64(x.limb[i], bits);
  return x;
}

// Brings any value down to little more than p (bound 1): 2^256 = p + a 211-bit number.
LANE_FUNCTION lanes fold(lanes x) {
  x = carry(x);
  __m512i excess = _mm512_srli_epi64(x.limb[4], 48);
  x.limb[4] = _mm512_and_si512(x.limb[4], all_lanes((1ULL << 48) - 1));
  UNROLL for (int i = 0; i < LIMBS; i++) {
    __m512i part = all_lanes(LANES_FOLD[i]);
    x.limb[i] = _mm512_madd52lo_epu64(x.limb[i], excess, part);
    if (i + 1 < LIMBS) x.limb[i + 1] = _mm512_madd52hi_epu64(x.limb[i + 1], excess, part);
  }
  return carry(x);
}

LANE_FUNCTION wide_lanes wide_zero(void) {
  wide_lanes r;
  UNROLL for (int i = 0; i < 2 * LIMBS; i++) r.limb[i] = _mm512_setzero_si512();
  return r;
}

LANE_FUNCTION wide_lanes wide_multiply_limb(wide_lanes t, int i, __m512i x, lanes y) {
  UNROLL for (int j = 0; j < LIMBS; j++) t.limb[i + j] = _mm512_madd52lo_epu64(t.limb[i + j], x, y.limb[j]);
  UNROLL for (int j = 0; j < LIMBS; j++) t.limb[i + j + 1] = _mm512_madd52hi_epu64(t.limb[i + j + 1], x, y.limb[j]);
  return t;
}

// t + xy
LANE_FUNCTION wide_lanes wide_multiply_add(wide_lanes t, lanes x, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) t = wide_multiply_limb(t, i, x.limb[i], y);
  return t;
}

// t + xy where all lanes have the same x, in memory.
LANE_FUNCTION wide_lanes wide_multiply_add_same(wide_lanes t, const uint64_t *x, size_t stride, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) t = wide_multiply_limb(t, i, all_lanes(x[(size_t)i * stride]), y);
  return t;
}

// t/2^260 mod p, bound t/(16p²) + 1.
LANE_FUNCTION lanes wide_reduce(wide_lanes t) {
  lanes r;
  const __m512i inverse = all_lanes(LANES_INVERSE);
  const lanes p = lanes_constant(LANES_P);
  UNROLL for (int i = 0; i < LIMBS; i++) {
    __m512i m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), t.limb[i], inverse);
    t = wide_multiply_limb(t, i, m, p);
    t.limb[i + 1] = _mm512_add_epi64(t.limb[i + 1], _mm512_srli_epi64(t.limb[i], 52));
  }
  UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = t.limb[i + LIMBS];
  return carry(r);
}

LANE_FUNCTION lanes lanes_mul(lanes x, lanes y) { return wide_reduce(wide_multiply_add(wide_zero(), x, y)); }

LANE_FUNCTION lanes lanes_select(lanes x, __mmask8 mask, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_mask_mov_epi64(x.limb[i], mask, y.limb[i]);
  return x;
}

// Between the usual form and lanes.
typedef union {
  lanes vector;
  uint64_t limb[LIMBS][LANES];
} lanes_memory;

static inline void set_lane(lanes_memory *r, size_t lane, const fp *x) {
  fp y = *x;
  for (int i = 0; i < 4; i++) fp_double(&y, &y);
  r->limb[0][lane] = y.limb[0] & LIMB_MASK;
  r->limb[1][lane] = (y.limb[0] >> 52 | y.limb[1] << 12) & LIMB_MASK;
  r->limb[2][lane] = (y.limb[1] >> 40 | y.limb[2] << 24) & LIMB_MASK;
  r->limb[3][lane] = (y.limb[2] >> 28 | y.limb[3] << 36) & LIMB_MASK;
  r->limb[4][lane] = y.limb[3] >> 16;
}

// The value must be folded.
static inline void get_lane(fp *r, const lanes_memory *x, size_t lane) {
  uint64_t a = x->limb[0][lane], b = x->limb[1][lane], c = x->limb[2][lane], d = x->limb[3][lane], e = x->limb[4][lane];
  const uint64_t packed[4] = {a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16};
  reduce_once(r->limb, packed, e >> 48, FIELD_ORDER);
  fp_mul(r, r, &FP_FROM_LANES);
}
