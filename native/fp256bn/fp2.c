#include "fp2.h"

void fp2_mul_portable(fp2 *r, const fp2 *x, const fp2 *y) {
  fp real, imaginary, x_sum, y_sum, cross;
  fp_add(&x_sum, &x->a, &x->b);
  fp_add(&y_sum, &y->a, &y->b);
  fp_mul(&real, &x->a, &y->a);
  fp_mul(&imaginary, &x->b, &y->b);
  fp_mul(&cross, &x_sum, &y_sum);
  fp_sub(&cross, &cross, &real);
  fp_sub(&r->b, &cross, &imaginary);
  fp_sub(&r->a, &real, &imaginary);
}

void fp2_sqr(fp2 *r, const fp2 *x) {
  fp sum, difference, twice;
  fp_add(&sum, &x->a, &x->b);
  fp_sub(&difference, &x->a, &x->b);
  fp_double(&twice, &x->a);
  fp_mul(&r->b, &twice, &x->b);
  fp_mul(&r->a, &sum, &difference);
}

void fp2_invert(fp2 *r, const fp2 *x) {
  fp norm, square;
  fp_sqr(&norm, &x->a);
  fp_sqr(&square, &x->b);
  fp_add(&norm, &norm, &square);
  fp_invert_public(&norm, &norm);
  fp_mul(&r->a, &x->a, &norm);
  fp_mul(&square, &x->b, &norm);
  fp_neg(&r->b, &square);
}
