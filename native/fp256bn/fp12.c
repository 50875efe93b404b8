#include "fp12.h"

static inline void fp6_add(fp6 *r, const fp6 *x, const fp6 *y) {
  for (int i = 0; i < 3; i++) fp2_add(&r->c[i], &x->c[i], &y->c[i]);
}

static inline void fp6_sub(fp6 *r, const fp6 *x, const fp6 *y) {
  for (int i = 0; i < 3; i++) fp2_sub(&r->c[i], &x->c[i], &y->c[i]);
}

static inline void fp6_neg(fp6 *r, const fp6 *x) {
  for (int i = 0; i < 3; i++) fp2_neg(&r->c[i], &x->c[i]);
}

// x·v
static inline void fp6_mul_v(fp6 *r, const fp6 *x) {
  fp2 lowest;
  fp2_mul_xi(&lowest, &x->c[2]);
  r->c[2] = x->c[1];
  r->c[1] = x->c[0];
  r->c[0] = lowest;
}

// (x + x')·(y + y') − xy − x'y' = xy' + x'y: the cross term of Karatsuba from the two products known already.
static inline void cross_term(fp2 *r, const fp2 *x, const fp2 *x2, const fp2 *y, const fp2 *y2, const fp2 *xy, const fp2 *x2y2) {
  fp2 sum;
  fp2_add(&sum, x, x2);
  fp2_add(r, y, y2);
  fp2_mul(r, r, &sum);
  fp2_sub(r, r, xy);
  fp2_sub(r, r, x2y2);
}

static void fp6_mul(fp6 *r, const fp6 *x, const fp6 *y) {
  fp2 p0, p1, p2, c12, c01, c02;
  fp2_mul(&p0, &x->c[0], &y->c[0]);
  fp2_mul(&p1, &x->c[1], &y->c[1]);
  fp2_mul(&p2, &x->c[2], &y->c[2]);
  cross_term(&c12, &x->c[1], &x->c[2], &y->c[1], &y->c[2], &p1, &p2);
  cross_term(&c01, &x->c[0], &x->c[1], &y->c[0], &y->c[1], &p0, &p1);
  cross_term(&c02, &x->c[0], &x->c[2], &y->c[0], &y->c[2], &p0, &p2);
  fp2_mul_xi(&c12, &c12);
  fp2_add(&r->c[0], &p0, &c12);
  fp2_mul_xi(&p2, &p2);
  fp2_add(&r->c[1], &c01, &p2);
  fp2_add(&r->c[2], &c02, &p1);
}

// x·(y0 + y1·v)
static void fp6_mul_short(fp6 *r, const fp6 *x, const fp2 *y0, const fp2 *y1) {
  fp2 p0, p1, c01, x2y0, x2y1;
  fp2_mul(&p0, &x->c[0], y0);
  fp2_mul(&p1, &x->c[1], y1);
  cross_term(&c01, &x->c[0], &x->c[1], y0, y1, &p0, &p1);
  fp2_mul(&x2y0, &x->c[2], y0);
  fp2_mul(&x2y1, &x->c[2], y1);
  fp2_mul_xi(&x2y1, &x2y1);
  fp2_add(&r->c[0], &p0, &x2y1);
  r->c[1] = c01;
  fp2_add(&r->c[2], &x2y0, &p1);
}

static void fp6_invert(fp6 *r, const fp6 *x) {
  fp2 t0, t1, t2, product, norm;
  fp2_sqr(&t0, &x->c[0]);
  fp2_mul(&product, &x->c[1], &x->c[2]);
  fp2_mul_xi(&product, &product);
  fp2_sub(&t0, &t0, &product);
  fp2_sqr(&t1, &x->c[2]);
  fp2_mul_xi(&t1, &t1);
  fp2_mul(&product, &x->c[0], &x->c[1]);
  fp2_sub(&t1, &t1, &product);
  fp2_sqr(&t2, &x->c[1]);
  fp2_mul(&product, &x->c[0], &x->c[2]);
  fp2_sub(&t2, &t2, &product);
  fp2_mul(&norm, &x->c[2], &t1);
  fp2_mul(&product, &x->c[1], &t2);
  fp2_add(&norm, &norm, &product);
  fp2_mul_xi(&norm, &norm);
  fp2_mul(&product, &x->c[0], &t0);
  fp2_add(&norm, &norm, &product);
  fp2_invert(&norm, &norm);
  fp2_mul(&r->c[0], &norm, &t0);
  fp2_mul(&r->c[1], &norm, &t1);
  fp2_mul(&r->c[2], &norm, &t2);
}

void fp12_one(fp12 *r) {
  memset(r, 0, sizeof *r);
  r->a.c[0].a = FP_ONE;
}

bool fp12_is_one(const fp12 *x) {
  fp12 difference = *x;
  fp_sub(&difference.a.c[0].a, &x->a.c[0].a, &FP_ONE);
  bool zero = true;
  for (int i = 0; i < 3; i++) zero = zero && fp2_is_zero(&difference.a.c[i]) && fp2_is_zero(&difference.b.c[i]);
  return zero;
}

void fp12_mul(fp12 *r, const fp12 *x, const fp12 *y) {
  fp6 low, high, x_sum, y_sum;
  fp6_mul(&low, &x->a, &y->a);
  fp6_mul(&high, &x->b, &y->b);
  fp6_add(&x_sum, &x->a, &x->b);
  fp6_add(&y_sum, &y->a, &y->b);
  fp6_mul(&x_sum, &x_sum, &y_sum);
  fp6_sub(&x_sum, &x_sum, &low);
  fp6_sub(&r->b, &x_sum, &high);
  fp6_mul_v(&high, &high);
  fp6_add(&r->a, &low, &high);
}

// (a + bw)² = (a + b)(a + bv) − ab − abv + 2ab·w
void fp12_sqr(fp12 *r, const fp12 *x) {
  fp6 product, sum, twisted;
  fp6_mul(&product, &x->a, &x->b);
  fp6_add(&sum, &x->a, &x->b);
  fp6_mul_v(&twisted, &x->b);
  fp6_add(&twisted, &twisted, &x->a);
  fp6_mul(&sum, &sum, &twisted);
  fp6_sub(&sum, &sum, &product);
  fp6_mul_v(&twisted, &product);
  fp6_sub(&r->a, &sum, &twisted);
  fp6_add(&r->b, &product, &product);
}

void fp12_conjugate(fp12 *r, const fp12 *x) {
  r->a = x->a;
  fp6_neg(&r->b, &x->b);
}

void fp12_invert(fp12 *r, const fp12 *x) {
  fp6 norm, square;
  fp6_mul(&norm, &x->a, &x->a);
  fp6_mul(&square, &x->b, &x->b);
  fp6_mul_v(&square, &square);
  fp6_sub(&norm, &norm, &square);
  fp6_invert(&norm, &norm);
  fp6_mul(&r->a, &x->a, &norm);
  fp6_mul(&square, &x->b, &norm);
  fp6_neg(&r->b, &square);
}

void fp12_mul_line(fp12 *f, const fp2 *l0, const fp2 *l1) {
  fp6 low, high, sum;
  fp2 l1_plus_one = *l1;
  fp6_mul_short(&low, &f->a, l0, l1);
  fp6_mul_v(&high, &f->b);
  fp6_add(&sum, &f->a, &f->b);
  fp_add(&l1_plus_one.a, &l1_plus_one.a, &FP_ONE);
  fp6_mul_short(&sum, &sum, l0, &l1_plus_one);
  fp6_sub(&sum, &sum, &low);
  fp6_sub(&f->b, &sum, &high);
  fp6_mul_v(&high, &high);
  fp6_add(&f->a, &low, &high);
}

// The coefficient of w^k.
static fp2 *coefficient(fp12 *x, int k) { return k % 2 ? &x->b.c[k / 2] : &x->a.c[k / 2]; }

void fp12_frobenius(fp12 *r, const fp12 *x, int k) {
  *r = *x;
  for (int i = 0; i < 6; i++) {
    fp2 *c = coefficient(r, i);
    if (k == 2) {
      fp2_mul_fp(c, c, &FROBENIUS2[i]);
    } else {
      fp2_conjugate(c, c);
      fp2_mul(c, c, k == 1 ? &FROBENIUS1[i] : &FROBENIUS3[i]);
    }
  }
}

// (x + y·s)² in Fp4 = Fp2[s]/(s² − (1+i)).
static inline void fp4_sqr(fp2 *low, fp2 *high, const fp2 *x, const fp2 *y) {
  fp2 xx, yy, sum;
  fp2_sqr(&xx, x);
  fp2_sqr(&yy, y);
  fp2_add(&sum, x, y);
  fp2_sqr(&sum, &sum);
  fp2_sub(&sum, &sum, &xx);
  fp2_sub(high, &sum, &yy);
  fp2_mul_xi(&yy, &yy);
  fp2_add(low, &xx, &yy);
}

// r = 3·square − 2·x
static inline void three_minus_two(fp2 *r, const fp2 *square, const fp2 *x) {
  fp2 t;
  fp2_sub(&t, square, x);
  fp2_double(&t, &t);
  fp2_add(r, &t, square);
}

// r = 3·square + 2·x
static inline void three_plus_two(fp2 *r, const fp2 *square, const fp2 *x) {
  fp2 t;
  fp2_add(&t, square, x);
  fp2_double(&t, &t);
  fp2_add(r, &t, square);
}

// Granger and Scott, "Faster squaring in the cyclotomic subgroup of sixth degree extensions", §3.
void fp12_cyclotomic_sqr(fp12 *r, const fp12 *x) {
  fp2 t0, t1, t2, t3, t4, t5;
  fp4_sqr(&t0, &t1, &x->a.c[0], &x->b.c[1]);
  fp4_sqr(&t2, &t3, &x->b.c[0], &x->a.c[2]);
  fp4_sqr(&t4, &t5, &x->a.c[1], &x->b.c[2]);
  fp2_mul_xi(&t5, &t5);
  three_minus_two(&r->a.c[0], &t0, &x->a.c[0]);
  three_minus_two(&r->a.c[1], &t2, &x->a.c[1]);
  three_minus_two(&r->a.c[2], &t4, &x->a.c[2]);
  three_plus_two(&r->b.c[0], &t5, &x->b.c[0]);
  three_plus_two(&r->b.c[1], &t1, &x->b.c[1]);
  three_plus_two(&r->b.c[2], &t3, &x->b.c[2]);
}
