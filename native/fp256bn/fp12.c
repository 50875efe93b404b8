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

// A factor (a + bi) of a sum of products in Fp2 as two rows of factors in Fp: (a, −b) gives real parts, (b, a) imaginary ones.
static inline void set_factor(fp *real, fp *imaginary, const fp2 *x) {
  real[0] = x->a;
  fp_neg(&real[1], &x->b);
  imaginary[0] = x->b;
  imaginary[1] = x->a;
}

// The coefficients of y in an order in which those that meet x0, x1, x2 stand side by side, for each coefficient of the product.
static void fp6_mul(fp6 *r, const fp6 *x, const fp6 *y) {
  fp2 side[5] = {y->c[2], y->c[1], y->c[0]};
  fp real[6], imaginary[6];
  fp2_mul_xi(&side[3], &y->c[2]);
  fp2_mul_xi(&side[4], &y->c[1]);
  for (int i = 0; i < 3; i++) set_factor(&real[2 * i], &imaginary[2 * i], &x->c[i]);
  for (int i = 0; i < 3; i++) {
    fp_dot6(&r->c[i].a, real, (const fp *)&side[2 - i]);
    fp_dot6(&r->c[i].b, imaginary, (const fp *)&side[2 - i]);
  }
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

// With w² = v: the coefficient of w^k becomes c(k)·l0 + c(k − 2)·l1 + c(k − 3), and w⁶ = ξ.
void fp12_mul_line(fp12 *f, const fp2 *l0, const fp2 *l1) {
  // Coefficients that meet l0 and l1 side by side, of the even and of the odd powers.
  fp2 even[4] = {f->a.c[2], f->a.c[1], f->a.c[0]}, odd[4] = {f->b.c[2], f->b.c[1], f->b.c[0]}, third;
  fp real[4], imaginary[4];
  fp2_mul_xi(&even[3], &even[0]);
  fp2_mul_xi(&odd[3], &odd[0]);
  fp2_mul_xi(&third, &odd[1]);
  set_factor(&real[0], &imaginary[0], l0);
  set_factor(&real[2], &imaginary[2], l1);
  const fp2 *even_added[3] = {&third, &odd[3], &odd[2]}, *odd_added[3] = {&even[3], &even[2], &even[1]};
  for (int i = 0; i < 3; i++) {
    fp_dot4_add(&f->a.c[i].a, real, (const fp *)&even[2 - i], &even_added[i]->a);
    fp_dot4_add(&f->a.c[i].b, imaginary, (const fp *)&even[2 - i], &even_added[i]->b);
    fp_dot4_add(&f->b.c[i].a, real, (const fp *)&odd[2 - i], &odd_added[i]->a);
    fp_dot4_add(&f->b.c[i].b, imaginary, (const fp *)&odd[2 - i], &odd_added[i]->b);
  }
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

// (x + y·s)² in Fp4 = Fp2[s]/(s² − (1+i)): x² + (1+i)y² and 2xy, where (a + bi)² = (a + b)(a − b) + 2ab·i.
static inline void fp4_sqr(fp2 *low, fp2 *high, const fp2 *x, const fp2 *y) {
  fp left[3], right[3], real[2], imaginary[2];
  // 2x once as a factor of x and once of y.
  fp_double(&imaginary[1], &x->a);
  fp_double(&imaginary[0], &x->b);
  real[0] = imaginary[1];
  fp_neg(&real[1], &imaginary[0]);
  fp_add(&left[0], &x->a, &x->b);
  fp_sub(&right[0], &x->a, &x->b);
  fp_add(&left[1], &y->a, &y->b);
  fp_sub(&right[1], &y->a, &y->b);
  fp_double(&left[2], &y->a);
  fp_neg(&right[2], &y->b);
  fp_dot2(&high->a, real, (const fp *)y);
  fp_dot2(&high->b, imaginary, (const fp *)y);
  fp_dot3(&low->a, left, right);
  left[0] = imaginary[1];
  right[0] = x->b;
  right[2] = y->b;
  fp_dot3(&low->b, left, right);
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
