#include "g1.h"
#include <stdlib.h>

bool g1_on_curve(const fp *x, const fp *y) {
  fp right, left;
  fp_sqr(&right, x);
  fp_mul(&right, &right, x);
  fp_add(&right, &right, &FP_THREE);
  fp_sqr(&left, y);
  return fp_equal(&left, &right);
}

bool g1_decode(g1_affine *r, const uint8_t *bytes) {
  return bytes[0] == 4 && fp_decode(&r->x, bytes + 1) && fp_decode(&r->y, bytes + 33) && g1_on_curve(&r->x, &r->y);
}

void g1_encode(uint8_t *bytes, const g1_affine *p) {
  bytes[0] = 4;
  fp_encode(bytes + 1, &p->x);
  fp_encode(bytes + 33, &p->y);
}

void g1_generator(g1_affine *r) {
  r->x = FP_ONE;
  fp_double(&r->y, &FP_ONE);
}

void g1_infinity(g1_jacobian *r) {
  memset(r, 0, sizeof *r);
  r->x = r->y = FP_ONE;
}

void g1_from_affine(g1_jacobian *r, const g1_affine *p) { *r = (g1_jacobian){p->x, p->y, FP_ONE}; }

void g1_neg(g1_jacobian *p) { fp_neg(&p->y, &p->y); }

// With M = 3X²/2 and D = XY²: X' = M² − 2D, Y' = M(D − X') − Y⁴, Z' = YZ. That is dbl-2009-l of the Explicit-Formulas Database for
// a Z half as large, with which fewer multiples are needed. Infinity stays infinity.
void g1_double(g1_jacobian *r, const g1_jacobian *p) {
  fp xx, d, twice, left[2], right[2];
  fp_sqr(&right[1], &p->y);
  fp_sqr(&xx, &p->x);
  fp_mul(&d, &p->x, &right[1]);
  fp_mul(&r->z, &p->y, &p->z);
  fp_double(&twice, &xx);
  fp_add(&xx, &xx, &twice);
  fp_half(&left[0], &xx);
  fp_sqr(&xx, &left[0]);
  fp_double(&twice, &d);
  fp_sub(&r->x, &xx, &twice);
  fp_sub(&right[0], &d, &r->x);
  fp_neg(&left[1], &right[1]);
  fp_dot2(&r->y, left, right);
}

// What both additions end with: r from p's (x, y) brought to the common denominator, H = x2 − x1, S = y2 − y1 and
// Z3/H = z. Handles p = q and p = −q.
static void finish_addition(g1_jacobian *r, const g1_jacobian *p, const fp *x1, const fp *y1, const fp *h, const fp *s,
                            const fp *z) {
  if (fp_is_zero(h)) {
    if (fp_is_zero(s)) g1_double(r, p);
    else g1_infinity(r);
    return;
  }
  fp hh, v, t, left[2] = {*s, *y1}, right[2];
  fp_sqr(&hh, h);
  fp_mul(&right[1], h, &hh);
  fp_mul(&v, x1, &hh);
  fp_sqr(&t, s);
  fp_mul(&r->z, z, h);
  fp_sub(&t, &t, &right[1]);
  fp_sub(&t, &t, &v);
  fp_sub(&r->x, &t, &v);
  // Y3 = S(V − X3) − y1·H³
  fp_neg(&right[1], &right[1]);
  fp_sub(&right[0], &v, &r->x);
  fp_dot2(&r->y, left, right);
}

void g1_add_affine(g1_jacobian *r, const g1_jacobian *p, const g1_affine *q) {
  if (g1_is_infinity(p)) {
    g1_from_affine(r, q);
    return;
  }
  fp zz, h, s;
  fp_sqr(&zz, &p->z);
  fp_mul(&h, &q->x, &zz);
  fp_sub(&h, &h, &p->x);
  fp_mul(&s, &q->y, &p->z);
  fp_mul(&s, &s, &zz);
  fp_sub(&s, &s, &p->y);
  g1_jacobian copy = *p;
  finish_addition(r, &copy, &copy.x, &copy.y, &h, &s, &copy.z);
}

void g1_add(g1_jacobian *r, const g1_jacobian *p, const g1_jacobian *q) {
  if (g1_is_infinity(p) || g1_is_infinity(q)) {
    *r = g1_is_infinity(p) ? *q : *p;
    return;
  }
  fp pzz, qzz, x1, y1, h, s, z;
  fp_sqr(&pzz, &p->z);
  fp_sqr(&qzz, &q->z);
  fp_mul(&x1, &p->x, &qzz);
  fp_mul(&h, &q->x, &pzz);
  fp_sub(&h, &h, &x1);
  fp_mul(&y1, &p->y, &q->z);
  fp_mul(&y1, &y1, &qzz);
  fp_mul(&s, &q->y, &p->z);
  fp_mul(&s, &s, &pzz);
  fp_sub(&s, &s, &y1);
  fp_mul(&z, &p->z, &q->z);
  g1_jacobian copy = *p;
  finish_addition(r, &copy, &x1, &y1, &h, &s, &z);
}

void g1_normalise(g1_affine *r, const g1_jacobian *p, size_t count, fp *scratch) {
  if (count == 0) return;
  // scratch[i] = z0·z1···zi, and back again from the inverse of the last.
  scratch[0] = p[0].z;
  for (size_t i = 1; i < count; i++) fp_mul(&scratch[i], &scratch[i - 1], &p[i].z);
  fp inverse, zi, zizi;
  fp_invert_public(&inverse, &scratch[count - 1]);
  for (size_t i = count; i-- > 0;) {
    zi = inverse;
    if (i > 0) {
      fp_mul(&zi, &inverse, &scratch[i - 1]);
      fp_mul(&inverse, &inverse, &p[i].z);
    }
    fp_sqr(&zizi, &zi);
    fp_mul(&r[i].x, &p[i].x, &zizi);
    fp_mul(&zizi, &zizi, &zi);
    fp_mul(&r[i].y, &p[i].y, &zizi);
  }
}
