// The pairing with an element of Fp12 = Fp2[w]/(w⁶ − ξ), ξ = 1 + i, across the lanes: the coefficient of w^k in lane k. Lanes 6
// and 7 hold anything.
#include "fp256bn/lanes.h"
#include <stdlib.h>

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
#include "fp.h"

// Real and imaginary parts of six coefficients, folded.
struct element { lanes re, im; };

// Two lines a vector: offset.a, offset.b, slope.a, slope.b of one, then of the other.
#define LINE_VECTORS ((ATE_LINES + 1) / 2)
struct lanes_lines { lanes_memory pair[LINE_VECTORS]; };

LANE_FUNCTION lanes permute(lanes x, __m512i order) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_permutexvar_epi64(order, x.limb[i]);
  return x;
}

// Lanes 0 … 7 of x, 8 … 15 of y.
LANE_FUNCTION lanes permute2(lanes x, __m512i order, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_permutex2var_epi64(x.limb[i], order, y.limb[i]);
  return x;
}

LANE_FUNCTION struct element permute_element(const struct element *x, __m512i order, const struct element *y) {
  return (struct element){permute2(x->re, order, y->re), permute2(x->im, order, y->im)};
}

LANE_FUNCTION lanes negative(lanes x) { return carry(lanes_sub(lanes_zero(), x, LANES_2P)); }

// x·ξ; bounds 3 and 2.
LANE_FUNCTION struct element times_xi(const struct element *x) {
  return (struct element){carry(lanes_sub(x->re, x->im, LANES_2P)), carry(lanes_add(x->re, x->im))};
}

// x·w^k: coefficients move up by k, those that leave come in again from below times ξ.
LANE_FUNCTION __m512i rotation(int k) {
  static const long long orders[6][LANES] = {
      {0, 1, 2, 3, 4, 5, 6, 7},   {13, 0, 1, 2, 3, 4, 6, 7},   {12, 13, 0, 1, 2, 3, 6, 7},
      {11, 12, 13, 0, 1, 2, 6, 7}, {10, 11, 12, 13, 0, 1, 6, 7}, {9, 10, 11, 12, 13, 0, 6, 7},
  };
  return _mm512_loadu_si512(orders[k]);
}

// Adds (re + im·i)·y, re and im being the same in all lanes; minus_im is −im.
struct same { const uint64_t *re, *im, *minus_im; };
LANE_FUNCTION wide_lanes add_real(wide_lanes t, struct same x, const struct element *y) {
  t = wide_multiply_add_same(t, x.re, LANES, y->re);
  return wide_multiply_add_same(t, x.minus_im, LANES, y->im);
}
LANE_FUNCTION wide_lanes add_imaginary(wide_lanes t, struct same x, const struct element *y) {
  t = wide_multiply_add_same(t, x.re, LANES, y->im);
  return wide_multiply_add_same(t, x.im, LANES, y->re);
}

WITH_LANES static __attribute__((noinline)) void multiply(struct element *r, const struct element *x, const struct element *y) {
  lanes_memory re = {x->re}, im = {x->im}, minus_im = {negative(x->im)};
  struct element rotated[6], twisted = times_xi(y);
  rotated[0] = *y;
  for (int k = 1; k < 6; k++) rotated[k] = permute_element(y, rotation(k), &twisted);
  // Bound of a coefficient: 6·(1·3 + 2·3)/16 + 1.
  wide_lanes t = wide_zero();
  for (int k = 0; k < 6; k++) t = add_real(t, (struct same){&re.limb[0][k], &im.limb[0][k], &minus_im.limb[0][k]}, &rotated[k]);
  r->re = fold(wide_reduce(t));
  t = wide_zero();
  for (int k = 0; k < 6; k++)
    t = add_imaginary(t, (struct same){&re.limb[0][k], &im.limb[0][k], &minus_im.limb[0][k]}, &rotated[k]);
  r->im = fold(wide_reduce(t));
}

// The line l0 + l1·w² + w³; `index` is where it starts in its vector.
WITH_LANES static __attribute__((noinline)) void multiply_line(struct element *f, const lanes_memory *line,
                                                               const lanes_memory *minus, int index) {
  struct same l0 = {&line->limb[0][index], &line->limb[0][index + 1], &minus->limb[0][index + 1]};
  struct same l1 = {&line->limb[0][index + 2], &line->limb[0][index + 3], &minus->limb[0][index + 3]};
  struct element twisted = times_xi(f), second = permute_element(f, rotation(2), &twisted);
  struct element third = permute_element(f, rotation(3), &twisted);
  // w³·f needs no multiplication: it is added where reduction leaves the result.
  wide_lanes t = add_real(add_real(wide_zero(), l0, f), l1, &second);
  UNROLL for (int i = 0; i < LIMBS; i++) t.limb[LIMBS + i] = _mm512_add_epi64(t.limb[LIMBS + i], third.re.limb[i]);
  lanes re = fold(wide_reduce(t));
  t = add_imaginary(add_imaginary(wide_zero(), l0, f), l1, &second);
  UNROLL for (int i = 0; i < LIMBS; i++) t.limb[LIMBS + i] = _mm512_add_epi64(t.limb[LIMBS + i], third.im.limb[i]);
  f->im = fold(wide_reduce(t));
  f->re = re;
}

// t + the real, respectively imaginary, part of x·y, lane by lane.
LANE_FUNCTION wide_lanes add_real_product(wide_lanes t, const struct element *x, lanes minus_im, const struct element *y) {
  return wide_multiply_add(wide_multiply_add(t, x->re, y->re), minus_im, y->im);
}
LANE_FUNCTION wide_lanes add_imaginary_product(wide_lanes t, const struct element *x, const struct element *y) {
  return wide_multiply_add(wide_multiply_add(t, x->re, y->im), x->im, y->re);
}

// Granger and Scott's squaring. With x the coefficients c0, c1, c2 and y = c3, c4, c5 it needs x² + ξy² of each pair and 2xy;
// both are sums of two products, so that every lane does the same: u1·v1 + u2·v2 is, from lane 0 on, x0² + ξy0², 2ξx2y2,
// x1² + ξy1², 2x0y0, x2² + ξy2², 2x1y1. From it the new coefficients are three times that, minus or plus twice the old one.
WITH_LANES static __attribute__((noinline)) void cyclotomic_square(struct element *r) {
  const __m512i u1_order = _mm512_setr_epi64(0, 10, 1, 0, 2, 1, 6, 7), v1_order = _mm512_setr_epi64(0, 5, 1, 3, 2, 4, 6, 7);
  const __m512i u2_order = _mm512_setr_epi64(11, 10, 12, 0, 13, 1, 6, 7), v2_order = _mm512_setr_epi64(3, 5, 4, 3, 5, 4, 6, 7);
  const __mmask8 odd = 0x2a;
  struct element twisted = times_xi(r);
  struct element u1 = permute_element(r, u1_order, &twisted), u2 = permute_element(r, u2_order, &twisted);
  struct element v1 = {permute(r->re, v1_order), permute(r->im, v1_order)};
  struct element v2 = {permute(r->re, v2_order), permute(r->im, v2_order)};
  lanes minus_u1 = carry(lanes_sub(lanes_zero(), u1.im, LANES_4P)), minus_u2 = carry(lanes_sub(lanes_zero(), u2.im, LANES_4P));
  lanes re = wide_reduce(add_real_product(add_real_product(wide_zero(), &u1, minus_u1, &v1), &u2, minus_u2, &v2));
  lanes im = wide_reduce(add_imaginary_product(add_imaginary_product(wide_zero(), &u1, &v1), &u2, &v2));
  lanes re2 = lanes_shift(r->re, 1), im2 = lanes_shift(r->im, 1);
  re2 = lanes_select(lanes_sub(lanes_zero(), re2, LANES_4P), odd, re2);
  im2 = lanes_select(lanes_sub(lanes_zero(), im2, LANES_4P), odd, im2);
  r->re = fold(lanes_add(lanes_add(lanes_shift(re, 1), re), re2));
  r->im = fold(lanes_add(lanes_add(lanes_shift(im, 1), im), im2));
}

// The inverse in the cyclotomic subgroup: odd powers of w change their sign.
WITH_LANES static void conjugate(struct element *r, const struct element *x) {
  const __mmask8 odd = 0x2a;
  r->re = fold(lanes_select(x->re, odd, lanes_sub(lanes_zero(), x->re, LANES_2P)));
  r->im = fold(lanes_select(x->im, odd, lanes_sub(lanes_zero(), x->im, LANES_2P)));
}

WITH_LANES static void put_in(struct element *r, const fp12 *x) {
  lanes_memory re, im;
  memset(&re, 0, sizeof re);
  memset(&im, 0, sizeof im);
  for (size_t k = 0; k < 6; k++) {
    const fp2 *coefficient = k % 2 ? &x->b.c[k / 2] : &x->a.c[k / 2];
    set_lane(&re, k, &coefficient->a);
    set_lane(&im, k, &coefficient->b);
  }
  *r = (struct element){re.vector, im.vector};
}

WITH_LANES static void take_out(fp12 *r, const struct element *x) {
  lanes_memory re = {x->re}, im = {x->im};
  for (size_t k = 0; k < 6; k++) {
    fp2 *coefficient = k % 2 ? &r->b.c[k / 2] : &r->a.c[k / 2];
    get_lane(&coefficient->a, &re, k);
    get_lane(&coefficient->b, &im, k);
  }
}

WITH_LANES struct lanes_lines *lanes_make_lines(const struct pairing_line *line) {
  struct lanes_lines *r = aligned_alloc(64, sizeof *r);
  if (!r) return NULL;
  memset(r, 0, sizeof *r);
  for (size_t i = 0; i < ATE_LINES; i++) {
    size_t at = i % 2 * 4;
    set_lane(&r->pair[i / 2], at, &line[i].offset.a);
    set_lane(&r->pair[i / 2], at + 1, &line[i].offset.b);
    set_lane(&r->pair[i / 2], at + 2, &line[i].slope.a);
    set_lane(&r->pair[i / 2], at + 3, &line[i].slope.b);
  }
  return r;
}

// All lines of one pair at its point, and their negatives.
struct evaluated { lanes_memory line[LINE_VECTORS], minus[LINE_VECTORS]; };

WITH_LANES static void evaluate(struct evaluated *r, const struct lanes_lines *lines, const struct evaluation *at) {
  lanes_memory factors;
  for (size_t i = 0; i < LANES; i++) set_lane(&factors, i, i % 4 < 2 ? &at->one_over_y : &at->minus_x_over_y);
  for (size_t i = 0; i < LINE_VECTORS; i++) {
    r->line[i].vector = fold(lanes_mul(lines->pair[i].vector, factors.vector));
    r->minus[i].vector = negative(r->line[i].vector);
  }
}

WITH_LANES static void multiply_lines(struct element *f, const struct evaluated *evaluated, size_t index, size_t count) {
  for (size_t j = 0; j < count; j++)
    multiply_line(f, &evaluated[j].line[index / 2], &evaluated[j].minus[index / 2], (int)(index % 2 * 4));
}

WITH_LANES void lanes_miller_loop(fp12 *r, const struct lanes_lines *const *lines, const struct evaluation *at, size_t count) {
  struct evaluated evaluated[MAX_PAIRS];
  struct element f;
  size_t index = 0;
  for (size_t j = 0; j < count; j++) evaluate(&evaluated[j], lines[j], &at[j]);
  fp12_one(r);
  put_in(&f, r);
  for (int i = 1; i < ATE_LENGTH; i++) {
    if (i > 1) multiply(&f, &f, &f);
    multiply_lines(&f, evaluated, index++, count);
    if (ATE_DIGITS[i]) multiply_lines(&f, evaluated, index++, count);
  }
  multiply_lines(&f, evaluated, index++, count);
  multiply_lines(&f, evaluated, index, count);
  conjugate(&f, &f);
  take_out(r, &f);
}

WITH_LANES void lanes_power_u(fp12 *r, const fp12 *x) {
  struct element base, cube, inverse, inverse_cube, power;
  put_in(&base, x);
  cube = power = base;
  cyclotomic_square(&cube);
  multiply(&cube, &cube, &base);
  conjugate(&inverse, &base);
  conjugate(&inverse_cube, &cube);
  for (int i = 1; i < U_LENGTH; i++) {
    cyclotomic_square(&power);
    switch (U_DIGITS[i]) {
      case 1: multiply(&power, &power, &base); break;
      case 3: multiply(&power, &power, &cube); break;
      case -1: multiply(&power, &power, &inverse); break;
      case -3: multiply(&power, &power, &inverse_cube); break;
    }
  }
  take_out(r, &power);
}

#else

// Never called: fp_choose() refuses.
struct lanes_lines *lanes_make_lines(const struct pairing_line *lines) {
  (void)lines;
  return NULL;
}

void lanes_miller_loop(fp12 *f, const struct lanes_lines *const *lines, const struct evaluation *at, size_t count) {
  (void)lines;
  (void)at;
  (void)count;
  memset(f, 0, sizeof *f);
}

void lanes_power_u(fp12 *r, const fp12 *x) { *r = *x; }

#endif
