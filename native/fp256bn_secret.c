#include "fp256bn_secret.h"
#include <pthread.h>

#define MULTIPLES 9

// Infinity, P … 8P, and their images under the endomorphism.
struct table {
  g1_projective multiple[MULTIPLES];
  fp beta_x[MULTIPLES];
};

void secret_from_affine(g1_projective *r, const g1_affine *p) { *r = (g1_projective){p->x, p->y, FP_ONE}; }

// 3b = 9
static void mul_9(fp *r, const fp *x) {
  fp eight;
  fp_double(&eight, x);
  fp_double(&eight, &eight);
  fp_double(&eight, &eight);
  fp_add(r, &eight, x);
}

// Renes, Costello, Batina: "Complete addition formulas for prime order elliptic curves", algorithm 7 (a = 0).
void secret_add(g1_projective *r, const g1_projective *p, const g1_projective *q) {
  fp xx, yy, zz, xy, yz, xz, t, x, y, z;
  fp_mul(&xx, &p->x, &q->x);
  fp_mul(&yy, &p->y, &q->y);
  fp_mul(&zz, &p->z, &q->z);
  fp_add(&xy, &p->x, &p->y);
  fp_add(&t, &q->x, &q->y);
  fp_mul(&xy, &xy, &t);
  fp_sub(&xy, &xy, &xx);
  fp_sub(&xy, &xy, &yy);
  fp_add(&yz, &p->y, &p->z);
  fp_add(&t, &q->y, &q->z);
  fp_mul(&yz, &yz, &t);
  fp_sub(&yz, &yz, &yy);
  fp_sub(&yz, &yz, &zz);
  fp_add(&xz, &p->x, &p->z);
  fp_add(&t, &q->x, &q->z);
  fp_mul(&xz, &xz, &t);
  fp_sub(&xz, &xz, &xx);
  fp_sub(&xz, &xz, &zz);
  fp_double(&t, &xx);
  fp_add(&xx, &t, &xx);
  mul_9(&zz, &zz);
  fp_add(&z, &yy, &zz);
  fp_sub(&yy, &yy, &zz);
  mul_9(&xz, &xz);
  fp_mul(&t, &yz, &xz);
  fp_mul(&x, &xy, &yy);
  fp_sub(&x, &x, &t);
  fp_mul(&y, &xz, &xx);
  fp_mul(&t, &yy, &z);
  fp_add(&y, &y, &t);
  fp_mul(&t, &xx, &xy);
  fp_mul(&z, &z, &yz);
  fp_add(&z, &z, &t);
  *r = (g1_projective){x, y, z};
}

// Algorithm 9 of the same paper.
static void double_point(g1_projective *r, const g1_projective *p) {
  fp yy, yz, zz, xy, y8, t, x, y, z;
  fp_sqr(&yy, &p->y);
  fp_double(&y8, &yy);
  fp_double(&y8, &y8);
  fp_double(&y8, &y8);
  fp_mul(&yz, &p->y, &p->z);
  fp_sqr(&zz, &p->z);
  mul_9(&zz, &zz);
  fp_mul(&x, &zz, &y8);
  fp_add(&y, &yy, &zz);
  fp_mul(&z, &yz, &y8);
  fp_double(&t, &zz);
  fp_add(&t, &t, &zz);
  fp_sub(&yy, &yy, &t);
  fp_mul(&y, &y, &yy);
  fp_add(&y, &y, &x);
  fp_mul(&xy, &p->x, &p->y);
  fp_mul(&x, &yy, &xy);
  fp_double(&x, &x);
  *r = (g1_projective){x, y, z};
}

static void make_table(struct table *t, const g1_projective *p) {
  memset(&t->multiple[0], 0, sizeof t->multiple[0]);
  t->multiple[0].y = FP_ONE;
  t->multiple[1] = *p;
  for (int i = 2; i < MULTIPLES; i++) secret_add(&t->multiple[i], &t->multiple[i - 1], p);
  for (int i = 0; i < MULTIPLES; i++) fp_mul(&t->beta_x[i], &BETA, &t->multiple[i].x);
}

// r += digit·P, with P's image under the endomorphism in its place if `beta`. Every entry of the table is read.
static void add_digit(g1_projective *r, const struct table *t, int8_t digit, bool beta) {
  uint64_t negative = mask_of((uint64_t)(int64_t)digit >> 63);
  uint64_t size = ((uint64_t)(int64_t)digit ^ negative) - negative;
  g1_projective term;
  memset(&term, 0, sizeof term);
  for (uint64_t i = 0; i < MULTIPLES; i++) {
    uint64_t wanted = mask_of(((i ^ size) - 1) >> 63);
    fp_select(&term.x, beta ? &t->beta_x[i] : &t->multiple[i].x, wanted);
    fp_select(&term.y, &t->multiple[i].y, wanted);
    fp_select(&term.z, &t->multiple[i].z, wanted);
  }
  fp opposite;
  fp_neg(&opposite, &term.y);
  fp_select(&term.y, &opposite, negative);
  secret_add(r, r, &term);
  explicit_bzero(&term, sizeof term);
}

void secret_multiply(g1_projective *r, const g1_projective *p, const scalar *k) {
  struct table table;
  struct half k1, k2;
  int8_t digits1[HALF_WINDOWS], digits2[HALF_WINDOWS];
  make_table(&table, p);
  glv_split(&k1, &k2, k);
  half_windows(digits1, &k1);
  half_windows(digits2, &k2);
  g1_projective sum = table.multiple[0];
  for (int i = HALF_WINDOWS; i-- > 0;) {
    for (int j = 0; j < 4; j++) double_point(&sum, &sum);
    add_digit(&sum, &table, digits1[i], false);
    add_digit(&sum, &table, digits2[i], true);
  }
  *r = sum;
  explicit_bzero(&table, sizeof table);
  explicit_bzero(&k1, sizeof k1);
  explicit_bzero(&k2, sizeof k2);
  explicit_bzero(digits1, sizeof digits1);
  explicit_bzero(digits2, sizeof digits2);
  explicit_bzero(&sum, sizeof sum);
}

// The table of 16^i·G1 for each window i: a multiplication needs no doublings.
static struct table generator_tables[HALF_WINDOWS];

static void make_generator_tables(void) {
  g1_affine generator;
  g1_projective multiple;
  g1_generator(&generator);
  secret_from_affine(&multiple, &generator);
  for (int i = 0; i < HALF_WINDOWS; i++) {
    make_table(&generator_tables[i], &multiple);
    double_point(&multiple, &generator_tables[i].multiple[8]);
  }
}

void secret_multiply_generator(g1_projective *r, const scalar *k) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  struct half k1, k2;
  int8_t digits1[HALF_WINDOWS], digits2[HALF_WINDOWS];
  pthread_once(&once, make_generator_tables);
  glv_split(&k1, &k2, k);
  half_windows(digits1, &k1);
  half_windows(digits2, &k2);
  g1_projective sum = generator_tables[0].multiple[0];
  for (int i = 0; i < HALF_WINDOWS; i++) {
    add_digit(&sum, &generator_tables[i], digits1[i], false);
    add_digit(&sum, &generator_tables[i], digits2[i], true);
  }
  *r = sum;
  explicit_bzero(&k1, sizeof k1);
  explicit_bzero(&k2, sizeof k2);
  explicit_bzero(digits1, sizeof digits1);
  explicit_bzero(digits2, sizeof digits2);
  explicit_bzero(&sum, sizeof sum);
}

bool secret_normalise(g1_affine *r, const g1_projective *p, size_t count) {
  fp products[MAX_NORMALISED], inverse, zi;
  if (count == 0 || count > MAX_NORMALISED) return false;
  products[0] = p[0].z;
  for (size_t i = 1; i < count; i++) fp_mul(&products[i], &products[i - 1], &p[i].z);
  bool finite = !fp_is_zero(&products[count - 1]);
  fp_invert(&inverse, &products[count - 1]);
  for (size_t i = count; i-- > 0;) {
    zi = inverse;
    if (i > 0) {
      fp_mul(&zi, &inverse, &products[i - 1]);
      fp_mul(&inverse, &inverse, &p[i].z);
    }
    fp_mul(&r[i].x, &p[i].x, &zi);
    fp_mul(&r[i].y, &p[i].y, &zi);
  }
  explicit_bzero(products, sizeof products);
  explicit_bzero(&inverse, sizeof inverse);
  explicit_bzero(&zi, sizeof zi);
  now_public(&finite, sizeof finite);
  return finite;
}
