#include "pairing.h"
#include "lanes.h"
#include <stdlib.h>

// Appends the line through t and q (the tangent if they are the same), and replaces t by t + q. Affine: the inversions are paid
// once per group, and the lines come out with their smallest number of coefficients. Neither t + q nor 2t is infinity: all are
// multiples of a point of order n by less than n.
static void step(struct pairing_line *line, g2_affine *t, const g2_affine *q, bool tangent) {
  fp2 numerator, denominator, x, y;
  if (tangent) {
    fp2_sqr(&numerator, &t->x);
    fp2_double(&x, &numerator);
    fp2_add(&numerator, &numerator, &x);
    fp2_double(&denominator, &t->y);
  } else {
    fp2_sub(&numerator, &q->y, &t->y);
    fp2_sub(&denominator, &q->x, &t->x);
  }
  fp2_invert(&denominator, &denominator);
  fp2_mul(&line->slope, &numerator, &denominator);
  fp2_mul(&line->offset, &line->slope, &t->x);
  fp2_sub(&line->offset, &line->offset, &t->y);
  fp2_sqr(&x, &line->slope);
  fp2_sub(&x, &x, &t->x);
  fp2_sub(&x, &x, tangent ? &t->x : &q->x);
  fp2_sub(&y, &t->x, &x);
  fp2_mul(&y, &y, &line->slope);
  fp2_sub(&t->y, &y, &t->y);
  t->x = x;
}

bool pairing_prepare(struct pairing_lines *r, const g2_affine *q) {
  struct pairing_line *line = r->line;
  g2_affine t = *q, negative = *q, image;
  fp2_neg(&negative.y, &q->y);
  for (int i = 1; i < ATE_LENGTH; i++) {
    step(line++, &t, &t, true);
    if (ATE_DIGITS[i]) step(line++, &t, ATE_DIGITS[i] > 0 ? q : &negative, false);
  }
  // The loop runs over 6|u| − 2 and is conjugated at its very end, for u < 0; so the two last lines go in negated: −ψ(Q), +ψ²(Q).
  g2_psi(&image, q);
  negative = image;
  fp2_neg(&negative.y, &image.y);
  step(line++, &t, &negative, false);
  g2_psi(&image, &image);
  step(line, &t, &image, false);
  r->lanes = fp_has_lanes ? lanes_make_lines(r->line) : NULL;
  return !fp_has_lanes || r->lanes;
}

void pairing_forget(struct pairing_lines *lines) {
  free(lines->lanes);
  lines->lanes = NULL;
}

// One inversion for all; false if a point is infinity. Neither y nor Z is zero then: the order is odd.
static bool evaluations(struct evaluation *r, const g1_jacobian *p, size_t count) {
  fp products[MAX_PAIRS], inverse, inverse_y;
  for (size_t i = 0; i < count; i++) {
    if (g1_is_infinity(&p[i])) return false;
    products[i] = p[i].y;
    if (i > 0) fp_mul(&products[i], &products[i - 1], &p[i].y);
  }
  fp_invert_public(&inverse, &products[count - 1]);
  for (size_t i = count; i-- > 0;) {
    inverse_y = inverse;
    if (i > 0) {
      fp_mul(&inverse_y, &inverse, &products[i - 1]);
      fp_mul(&inverse, &inverse, &p[i].y);
    }
    // 1/y = Z³/Y and x/y = XZ/Y.
    fp_mul(&inverse_y, &inverse_y, &p[i].z);
    fp_mul(&r[i].minus_x_over_y, &p[i].x, &inverse_y);
    fp_neg(&r[i].minus_x_over_y, &r[i].minus_x_over_y);
    fp_mul(&inverse_y, &inverse_y, &p[i].z);
    fp_mul(&r[i].one_over_y, &inverse_y, &p[i].z);
  }
  return true;
}

static void multiply_lines(fp12 *f, const struct pairing_lines *const *q, size_t index, const struct evaluation *at,
                           size_t count) {
  for (size_t j = 0; j < count; j++) {
    fp2 l0, l1;
    fp2_mul_fp(&l0, &q[j]->line[index].offset, &at[j].one_over_y);
    fp2_mul_fp(&l1, &q[j]->line[index].slope, &at[j].minus_x_over_y);
    fp12_mul_line(f, &l0, &l1);
  }
}

static void miller_loop(fp12 *f, const struct pairing_lines *const *q, const struct evaluation *at, size_t count) {
  size_t index = 0;
  fp12_one(f);
  for (int i = 1; i < ATE_LENGTH; i++) {
    if (i > 1) fp12_sqr(f, f);
    multiply_lines(f, q, index++, at, count);
    if (ATE_DIGITS[i]) multiply_lines(f, q, index++, at, count);
  }
  multiply_lines(f, q, index++, at, count);
  multiply_lines(f, q, index, at, count);
  fp12_conjugate(f, f);
}

// x^|u| for x of the cyclotomic subgroup.
static void power_u(fp12 *r, const fp12 *x) {
  if (fp_has_lanes) {
    lanes_power_u(r, x);
    return;
  }
  fp12 cube, inverse, inverse_cube, power = *x;
  fp12_cyclotomic_sqr(&cube, x);
  fp12_mul(&cube, &cube, x);
  fp12_conjugate(&inverse, x);
  fp12_conjugate(&inverse_cube, &cube);
  for (int i = 1; i < U_LENGTH; i++) {
    fp12_cyclotomic_sqr(&power, &power);
    switch (U_DIGITS[i]) {
      case 1: fp12_mul(&power, &power, x); break;
      case 3: fp12_mul(&power, &power, &cube); break;
      case -1: fp12_mul(&power, &power, &inverse); break;
      case -3: fp12_mul(&power, &power, &inverse_cube); break;
    }
  }
  *r = power;
}

// f^((p¹² − 1)/n) up to a fixed power that is prime to n (Fuentes-Castañeda, Knapp, Rodríguez-Henríquez: "Faster hashing to
// G2", §5, with u < 0).
static void final_exponentiation(fp12 *r, const fp12 *f) {
  fp12 base, y1, y2, y4, y6, y8, y9, t;
  fp12_invert(&t, f);
  fp12_conjugate(&base, f);
  fp12_mul(&base, &base, &t);
  fp12_frobenius(&t, &base, 2);
  fp12_mul(&base, &t, &base);

  power_u(&y1, &base);
  fp12_cyclotomic_sqr(&y1, &y1);
  fp12_cyclotomic_sqr(&y2, &y1);
  fp12_mul(&y2, &y2, &y1);
  power_u(&y4, &y2);
  fp12_cyclotomic_sqr(&t, &y4);
  power_u(&y6, &t);
  fp12_conjugate(&y6, &y6);
  fp12_conjugate(&y2, &y2);
  fp12_mul(&y8, &y6, &y4);
  fp12_mul(&y8, &y8, &y2);
  fp12_mul(&y9, &y8, &y1);

  fp12_conjugate(&t, &base);
  fp12_mul(&t, &t, &y9);
  fp12_frobenius(r, &t, 3);
  fp12_frobenius(&t, &y8, 2);
  fp12_mul(r, r, &t);
  fp12_frobenius(&t, &y9, 1);
  fp12_mul(r, r, &t);
  fp12_mul(&t, &y8, &y4);
  fp12_mul(&t, &t, &base);
  fp12_mul(r, r, &t);
}

bool pairing_product_is_one(const g1_jacobian *p, const struct pairing_lines *const *q, size_t count) {
  struct evaluation at[MAX_PAIRS];
  fp12 f;
  if (count == 0) return true;
  if (count > MAX_PAIRS || !evaluations(at, p, count)) return false;
  if (fp_has_lanes && q[0]->lanes) {
    const struct lanes_lines *lanes[MAX_PAIRS];
    for (size_t i = 0; i < count; i++) lanes[i] = q[i]->lanes;
    lanes_miller_loop(&f, lanes, at, count);
  } else {
    miller_loop(&f, q, at, count);
  }
  final_exponentiation(&f, &f);
  return fp12_is_one(&f);
}
