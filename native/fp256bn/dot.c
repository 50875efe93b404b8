#include "dot.h"

// One loop for all lengths; `count` is a constant in each copy.
static inline __attribute__((always_inline)) void sum_products(fp *r, const fp *x, const fp *y, size_t count, const fp *addend) {
  uint64_t t[4] = {0, 0, 0, 0}, top = 0, excess = 0, carry;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
#pragma GCC unroll 6
    for (size_t j = 0; j < count; j++) {
      const uint64_t *a = x[j].limb, b = y[j].limb[i];
      carry = 0;
      t[0] = multiply_carry(a[0], b, t[0], &carry);
      t[1] = multiply_carry(a[1], b, t[1], &carry);
      t[2] = multiply_carry(a[2], b, t[2], &carry);
      t[3] = multiply_carry(a[3], b, t[3], &carry);
      uint64_t over = 0;
      top = add_carry(top, carry, &over);
      excess += over;
    }
    uint64_t m = t[0] * FIELD_INVERSE, over = 0;
    carry = 0;
    multiply_carry(m, FIELD_ORDER[0], t[0], &carry);
    t[0] = multiply_carry(m, FIELD_ORDER[1], t[1], &carry);
    t[1] = multiply_carry(m, FIELD_ORDER[2], t[2], &carry);
    t[2] = multiply_carry(m, FIELD_ORDER[3], t[3], &carry);
    t[3] = add_carry(top, carry, &over);
    top = excess + over;
    excess = 0;
  }
  if (addend) {
    carry = 0;
    for (int i = 0; i < 4; i++) t[i] = add_carry(t[i], addend->limb[i], &carry);
    top += carry;
  }
  carry = 0;
  for (int i = 0; i < 4; i++) t[i] = multiply_carry(top, FP_ONE.limb[i], t[i], &carry);
  reduce_once(r->limb, t, carry, FIELD_ORDER);
}

void fp_dot2_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 2, NULL); }

void fp_dot3_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 3, NULL); }

void fp_dot4_add_portable(fp *r, const fp *x, const fp *y, const fp *addend) { sum_products(r, x, y, 4, addend); }

void fp_dot6_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 6, NULL); }
