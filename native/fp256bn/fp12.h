// Fp6 = Fp2[v]/(v³ − (1+i)) and Fp12 = Fp6[w]/(w² − v): where pairings live. Only ever sees public values. Results may be
// operands.
#pragma once
#include "fp2.h"

void fp12_one(fp12 *r);
bool fp12_is_one(const fp12 *x);
void fp12_mul(fp12 *r, const fp12 *x, const fp12 *y);
void fp12_sqr(fp12 *r, const fp12 *x);
void fp12_conjugate(fp12 *r, const fp12 *x);
void fp12_invert(fp12 *r, const fp12 *x);
// f·(l0 + l1·v + v·w): a line of a Miller loop.
void fp12_mul_line(fp12 *f, const fp2 *l0, const fp2 *l1);
// x^(p^k), k = 1, 2, 3.
void fp12_frobenius(fp12 *r, const fp12 *x, int k);
// x² for x of the cyclotomic subgroup, x^(p⁴ − p² + 1) = 1, where the inverse is the conjugate.
void fp12_cyclotomic_sqr(fp12 *r, const fp12 *x);
