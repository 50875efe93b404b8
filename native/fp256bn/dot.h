// Sums of products in the base field with one reduction for all of them: x[0]·y[0] + x[1]·y[1] + …, each of the operands below p.
// A coefficient of a product in an extension field is such a sum. All products are computed, none is saved as Karatsuba does, but
// nothing has to be added up before and subtracted afterwards, which costs more than a product (Longa: "Efficient Algorithms for
// Large Prime Characteristic Fields and Their Application to Bilinear Pairings", eprint 2022/367, algorithm 2).
//
// The rows of all products are added up, then one limb is reduced, so that the running sum stays short. With K products, and M
// the number by which p was multiplied in all, M < 2^256, it ends as
//   (Σ x·y + M·p)/2^256 < (K·p² + 2^256·p)/2^256 < (K + 1)·p,
// and before each division by 2^64 it is below (K + 1)·p·(2^64 + 1): a sixth limb that never exceeds K + 1. An addend makes it one
// more p. As 2^256 = p + FP_ONE, the sixth limb q counts for q·FP_ONE; q·FP_ONE < 2^214 for q ≤ 8, so that the value is then below
// 2^256 + 2^214 < 2p, and one subtraction brings it below p. Constant time.
#pragma once
#include "fp.h"

void fp_dot2_adx(fp *r, const fp *x, const fp *y);
void fp_dot3_adx(fp *r, const fp *x, const fp *y);
void fp_dot4_add_adx(fp *r, const fp *x, const fp *y, const fp *addend);
void fp_dot6_adx(fp *r, const fp *x, const fp *y);
void fp_dot2_portable(fp *r, const fp *x, const fp *y);
void fp_dot3_portable(fp *r, const fp *x, const fp *y);
void fp_dot4_add_portable(fp *r, const fp *x, const fp *y, const fp *addend);
void fp_dot6_portable(fp *r, const fp *x, const fp *y);

// Operands stand one after the other in memory. The result may be one of them.
static inline void fp_dot2(fp *r, const fp x[2], const fp y[2]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot2_adx(r, x, y);
  else fp_dot2_portable(r, x, y);
}

static inline void fp_dot3(fp *r, const fp x[3], const fp y[3]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot3_adx(r, x, y);
  else fp_dot3_portable(r, x, y);
}

// x[0]·y[0] + … + x[3]·y[3] + addend
static inline void fp_dot4_add(fp *r, const fp x[4], const fp y[4], const fp *addend) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot4_add_adx(r, x, y, addend);
  else fp_dot4_add_portable(r, x, y, addend);
}

static inline void fp_dot6(fp *r, const fp x[6], const fp y[6]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot6_adx(r, x, y);
  else fp_dot6_portable(r, x, y);
}
