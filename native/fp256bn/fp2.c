#include "fp2.h"

void fp2_mul(fp2 *r, const fp2 *x, const fp2 *y) {
  fp real[2] = {x->a}, imaginary[2] = {x->b, x->a}, part;
  fp_neg(&real[1], &x->b);
  fp_dot2(&part, real, (const fp *)y);
  fp_dot2(&r->b, imaginary, (const fp *)y);
  r->a = part;
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
