#include "g2.h"

// x = X/Z², y = Y/Z³; infinity has Z = 0.
typedef struct { fp2 x, y, z; } g2_jacobian;

// dbl-2009-l; infinity stays infinity.
static void double_point(g2_jacobian *r) {
  fp2 xx, yy, yyyy, s, m, t;
  fp2_sqr(&xx, &r->x);
  fp2_sqr(&yy, &r->y);
  fp2_sqr(&yyyy, &yy);
  fp2_add(&s, &r->x, &yy);
  fp2_sqr(&s, &s);
  fp2_sub(&s, &s, &xx);
  fp2_sub(&s, &s, &yyyy);
  fp2_double(&s, &s);
  fp2_double(&m, &xx);
  fp2_add(&m, &m, &xx);
  fp2_mul(&t, &r->y, &r->z);
  fp2_double(&r->z, &t);
  fp2_sqr(&t, &m);
  fp2_sub(&t, &t, &s);
  fp2_sub(&r->x, &t, &s);
  fp2_sub(&s, &s, &r->x);
  fp2_mul(&t, &m, &s);
  fp2_double(&yyyy, &yyyy);
  fp2_double(&yyyy, &yyyy);
  fp2_double(&yyyy, &yyyy);
  fp2_sub(&r->y, &t, &yyyy);
}

static void add_affine(g2_jacobian *r, const g2_affine *q) {
  if (fp2_is_zero(&r->z)) {
    *r = (g2_jacobian){q->x, q->y, {FP_ONE, {{0}}}};
    return;
  }
  fp2 zz, h, s, hh, hhh, v, t;
  fp2_sqr(&zz, &r->z);
  fp2_mul(&h, &q->x, &zz);
  fp2_sub(&h, &h, &r->x);
  fp2_mul(&s, &q->y, &r->z);
  fp2_mul(&s, &s, &zz);
  fp2_sub(&s, &s, &r->y);
  if (fp2_is_zero(&h)) {
    if (fp2_is_zero(&s)) double_point(r);
    else memset(r, 0, sizeof *r);
    return;
  }
  fp2_sqr(&hh, &h);
  fp2_mul(&hhh, &h, &hh);
  fp2_mul(&v, &r->x, &hh);
  fp2_sqr(&t, &s);
  fp2_sub(&t, &t, &hhh);
  fp2_sub(&t, &t, &v);
  fp2_sub(&r->x, &t, &v);
  fp2_mul(&hhh, &r->y, &hhh);
  fp2_mul(&r->z, &r->z, &h);
  fp2_sub(&v, &v, &r->x);
  fp2_mul(&v, &v, &s);
  fp2_sub(&r->y, &v, &hhh);
}

void g2_psi(g2_affine *r, const g2_affine *p) {
  fp2_conjugate(&r->x, &p->x);
  fp2_mul(&r->x, &r->x, &PSI_X);
  fp2_conjugate(&r->y, &p->y);
  fp2_mul(&r->y, &r->y, &PSI_Y);
}

// ψ² − tψ + p = 0 on E'(Fp2) with t − 1 = 6u². So ψ(P) = 6u²·P implies (p + 1 − t)P = nP = 0, and the test is exact. Additions
// handle every case, since P may have any order here.
static bool in_subgroup(const g2_affine *p) {
  g2_affine negative = *p, image;
  fp2_neg(&negative.y, &p->y);
  g2_jacobian multiple = {p->x, p->y, {FP_ONE, {{0}}}};
  for (int i = 1; i < SUBGROUP_LENGTH; i++) {
    double_point(&multiple);
    if (SUBGROUP_DIGITS[i]) add_affine(&multiple, SUBGROUP_DIGITS[i] > 0 ? p : &negative);
  }
  if (fp2_is_zero(&multiple.z)) return false;
  fp2 zz, x, y;
  g2_psi(&image, p);
  fp2_sqr(&zz, &multiple.z);
  fp2_mul(&x, &image.x, &zz);
  fp2_mul(&y, &image.y, &zz);
  fp2_mul(&y, &y, &multiple.z);
  return fp2_equal(&x, &multiple.x) && fp2_equal(&y, &multiple.y);
}

bool g2_decode(g2_affine *r, const uint8_t *bytes) {
  if (bytes[0] != 4 || !fp_decode(&r->x.a, bytes + 1) || !fp_decode(&r->x.b, bytes + 33)) return false;
  if (!fp_decode(&r->y.a, bytes + 65) || !fp_decode(&r->y.b, bytes + 97)) return false;
  fp2 right, left;
  fp2_sqr(&right, &r->x);
  fp2_mul(&right, &right, &r->x);
  fp2_add(&right, &right, &TWIST_B);
  fp2_sqr(&left, &r->y);
  return fp2_equal(&left, &right) && in_subgroup(r);
}
