// Fp2 = Fp[i]/(i² + 1). Only ever sees public values. Results may be operands.
#pragma once
#include "fp.h"

void fp2_mul(fp2 *r, const fp2 *x, const fp2 *y);
void fp2_sqr(fp2 *r, const fp2 *x);
// 1/x, and 0 for 0.
void fp2_invert(fp2 *r, const fp2 *x);

static inline void fp2_add(fp2 *r, const fp2 *x, const fp2 *y) {
  fp_add(&r->a, &x->a, &y->a);
  fp_add(&r->b, &x->b, &y->b);
}

static inline void fp2_sub(fp2 *r, const fp2 *x, const fp2 *y) {
  fp_sub(&r->a, &x->a, &y->a);
  fp_sub(&r->b, &x->b, &y->b);
}

static inline void fp2_double(fp2 *r, const fp2 *x) { fp2_add(r, x, x); }

static inline void fp2_neg(fp2 *r, const fp2 *x) {
  fp_neg(&r->a, &x->a);
  fp_neg(&r->b, &x->b);
}

static inline void fp2_conjugate(fp2 *r, const fp2 *x) {
  r->a = x->a;
  fp_neg(&r->b, &x->b);
}

// x·(1 + i)
static inline void fp2_mul_xi(fp2 *r, const fp2 *x) {
  fp difference;
  fp_sub(&difference, &x->a, &x->b);
  fp_add(&r->b, &x->a, &x->b);
  r->a = difference;
}

static inline void fp2_mul_fp(fp2 *r, const fp2 *x, const fp *k) {
  fp_mul(&r->a, &x->a, k);
  fp_mul(&r->b, &x->b, k);
}

static inline bool fp2_is_zero(const fp2 *x) { return fp_is_zero(&x->a) && fp_is_zero(&x->b); }

static inline bool fp2_equal(const fp2 *x, const fp2 *y) { return fp_equal(&x->a, &y->a) && fp_equal(&x->b, &y->b); }
