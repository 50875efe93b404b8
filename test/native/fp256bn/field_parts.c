// Computes in the fields of FP256BN what its words ask for: OPERATION:NUMBER:NUMBER…, numbers in hexadecimal, each an element of Fp
// as it lies in memory. Prints for each word the results of portable C, and again with the assembly where the processor has it.
// test/native/fp256bn/field.test.ts knows what they must be.
#include "../check.h"
#include "fp256bn/fp12.h"
#include "fp256bn/g1.h"
#include <string.h>

enum { MOST = 24 };

static void read_number(uint64_t limbs[4], const char *text, size_t length) {
  memset(limbs, 0, 4 * sizeof *limbs);
  CHECK(length > 0 && length <= 64);
  for (size_t i = 0; i < length; i++) {
    char digit[2] = {text[i], 0};
    for (int j = 3; j > 0; j--) limbs[j] = limbs[j] << 4 | limbs[j - 1] >> 60;
    limbs[0] = limbs[0] << 4 | strtoul(digit, NULL, 16);
  }
}

static void print(const fp *x, size_t count) {
  for (size_t i = 0; i < count; i++)
    printf("%s%016llx%016llx%016llx%016llx", i ? ":" : "", (unsigned long long)x[i].limb[3], (unsigned long long)x[i].limb[2],
           (unsigned long long)x[i].limb[1], (unsigned long long)x[i].limb[0]);
  printf("\n");
}

// An element of the cyclotomic subgroup: x^((p⁶ − 1)(p² + 1)).
static void into_cyclotomic(fp12 *r, const fp12 *x) {
  fp12 t;
  fp12_invert(&t, x);
  fp12_conjugate(r, x);
  fp12_mul(r, r, &t);
  fp12_frobenius(&t, r, 2);
  fp12_mul(r, r, &t);
}

// Prints Σ weight·(k·G) of pairs k, weight: affine coordinates, or zeros for infinity. A weight is low + high·λ, 128 bits. The tables are
// made in both ways.
static void sum_weighted(const fp *x, size_t count) {
  g1_affine points[MOST / 2], generator, sum = {{{0}}, {{0}}};
  struct g1_table tables[MOST / 2], other[MOST / 2], *each[MOST / 2], *each_other[MOST / 2], *table = &tables[0];
  const g1_affine *which[MOST / 2], *base = &generator;
  struct split_digits digits, weights[MOST / 2];
  struct g1_weighted weighted[MOST / 2];
  g1_jacobian product;
  fp scratch;
  g1_generator(&generator);
  CHECK(g1_make_tables(&table, &base, 1));
  struct g1_table of_generator = tables[0];
  for (size_t i = 0; i < count; i++) {
    scalar k;
    memcpy(k.limb, x[2 * i].limb, sizeof k.limb);
    split_wnaf(&digits, &k, WINDOW, false);
    g1_multiply_digits(&product, &digits, of_generator.odd);
    g1_normalise(&points[i], &product, 1, &scratch);
    wnaf_128(&weights[i], x[2 * i + 1].limb);
    which[i] = &points[i];
    each[i] = &tables[i];
    each_other[i] = &other[i];
    weighted[i] = (struct g1_weighted){tables[i].odd, &weights[i]};
  }
  CHECK(g1_make_tables_affine(each, which, count) && g1_make_tables(each_other, which, count));
  CHECK(memcmp(tables, other, count * sizeof *tables) == 0);
  CHECK(g1_sum_weighted(&product, weighted, count));
  if (!g1_is_infinity(&product)) g1_normalise(&sum, &product, 1, &scratch);
  print(&sum.x, 2);
}

static void compute(const char *operation, const fp *x, size_t count) {
  fp r;
  fp12 big, other;
#define IS(name, length) (strcmp(operation, name) == 0 && count == (length))
  if (IS("add", 2)) fp_add(&r, &x[0], &x[1]);
  else if (IS("sub", 2)) fp_sub(&r, &x[0], &x[1]);
  else if (IS("mul", 2)) fp_mul(&r, &x[0], &x[1]);
  else if (IS("sqr", 1)) fp_sqr(&r, x);
  else if (IS("half", 1)) fp_half(&r, x);
  else if (IS("invert", 1)) fp_invert(&r, x);
  else if (IS("invertPublic", 1)) fp_invert_public(&r, x);
  else if (IS("dot2", 4)) fp_dot2(&r, x, x + 2);
  else if (IS("dot3", 6)) fp_dot3(&r, x, x + 3);
  else if (IS("dot4", 9)) fp_dot4_add(&r, x, x + 4, x + 8);
  else if (IS("dot6", 12)) fp_dot6(&r, x, x + 6);
  else {
    if (IS("fp2mul", 4)) {
      fp2_mul(&big.a.c[0], (const fp2 *)x, (const fp2 *)x + 1);
      print(&big.a.c[0].a, 2);
      return;
    }
    if (strcmp(operation, "sum") == 0 && count % 2 == 0) {
      sum_weighted(x, count / 2);
      return;
    }
    if (IS("fp12mul", 24)) fp12_mul(&big, (const fp12 *)x, (const fp12 *)x + 1);
    else if (IS("fp12sqr", 12)) fp12_sqr(&big, (const fp12 *)x);
    else if (IS("fp12invert", 12)) fp12_invert(&big, (const fp12 *)x);
    else if (IS("line", 16)) {
      big = *(const fp12 *)x;
      fp12_mul_line(&big, (const fp2 *)x + 6, (const fp2 *)x + 7);
    } else if (IS("cyclotomic", 12)) {
      into_cyclotomic(&big, (const fp12 *)x);
      fp12_cyclotomic_sqr(&other, &big);
      fp12_sqr(&big, &big);
      CHECK(memcmp(&big, &other, sizeof big) == 0);
      fp12_cyclotomic_sqr(&other, &other);
      fp12_sqr(&big, &big);
      CHECK(memcmp(&big, &other, sizeof big) == 0);
    } else CHECK(!"an operation with so many operands");
    print(&big.a.c[0].a, 12);
    return;
  }
  print(&r, 1);
#undef IS
}

static void compute_word(const char *word) {
  char operation[16] = {0};
  fp x[MOST];
  size_t count = 0, length = strcspn(word, ":");
  CHECK(length < sizeof operation);
  memcpy(operation, word, length);
  for (word += length; *word == ':'; word += length) {
    length = strcspn(++word, ":");
    CHECK(count < MOST);
    read_number(x[count++].limb, word, length);
  }
  compute(operation, x, count);
}

int main(int count, char **words) {
  static const enum arithmetic each[] = {ARITHMETIC_PORTABLE, ARITHMETIC_ADX};
  for (int i = 0; i < 2 && fp_choose(each[i]); i++) {
    for (int j = 1; j < count; j++) compute_word(words[j]);
  }
  return 0;
}
