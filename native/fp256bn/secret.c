#include "secret.h"
#include "lanes.h"
#include <pthread.h>

#define MULTIPLES 9

// Infinity, P … 8P, and their images under the endomorphism.
struct table {
  g1_projective multiple[MULTIPLES];
  fp beta_x[MULTIPLES];
};

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

// The digits of both halves of a scalar.
struct windows { int8_t k1[HALF_WINDOWS], k2[HALF_WINDOWS]; };

static void split_windows(struct windows *r, const scalar *k) {
  struct half k1, k2;
  glv_split(&k1, &k2, k);
  half_windows(r->k1, &k1);
  half_windows(r->k2, &k2);
  explicit_bzero(&k1, sizeof k1);
  explicit_bzero(&k2, sizeof k2);
}

static void add_window(g1_projective *r, const struct table *t, const struct windows *k, int window) {
  add_digit(r, t, k->k1[window], false);
  add_digit(r, t, k->k2[window], true);
}

// k·P from tables of P and, for the windows from `lower` on, of 16^lower·P, so that only the lower ones cost doublings.
static void multiply_windows(g1_projective *r, const struct table tables[2], int lower, const scalar *k) {
  struct windows windows;
  split_windows(&windows, k);
  g1_projective sum = tables[0].multiple[0];
  for (int i = lower; i-- > 0;) {
    for (int j = 0; i < lower - 1 && j < 4; j++) double_point(&sum, &sum);
    add_window(&sum, &tables[0], &windows, i);
    if (lower + i < HALF_WINDOWS) add_window(&sum, &tables[1], &windows, lower + i);
  }
  *r = sum;
  explicit_bzero(&windows, sizeof windows);
  explicit_bzero(&sum, sizeof sum);
}

// The table of 16^i·G1 for each window i: a multiplication needs no doublings.
static struct table generator_tables[HALF_WINDOWS];

static void make_generator_tables(void) {
  g1_affine generator;
  g1_projective multiple;
  g1_generator(&generator);
  multiple = (g1_projective){generator.x, generator.y, FP_ONE};
  for (int i = 0; i < HALF_WINDOWS; i++) {
    make_table(&generator_tables[i], &multiple);
    double_point(&multiple, &generator_tables[i].multiple[8]);
  }
}

void secret_multiply_generator(g1_projective *r, const scalar *k) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  struct windows windows;
  pthread_once(&once, make_generator_tables);
  split_windows(&windows, k);
  g1_projective sum = generator_tables[0].multiple[0];
  for (int i = 0; i < HALF_WINDOWS; i++) add_window(&sum, &generator_tables[i], &windows, i);
  *r = sum;
  explicit_bzero(&windows, sizeof windows);
  explicit_bzero(&sum, sizeof sum);
}

// Scalars of the same point share the way to the second table.
static void multiply_point(g1_projective *r, const struct secret_product *each, const size_t *which, size_t count) {
  struct table tables[2];
  g1_projective point = {each[which[0]].point->x, each[which[0]].point->y, FP_ONE};
  int lower = count > 1 ? (HALF_WINDOWS + 1) / 2 : HALF_WINDOWS;
  make_table(&tables[0], &point);
  if (count > 1) {
    for (int i = 0; i < 4 * lower; i++) double_point(&point, &point);
    make_table(&tables[1], &point);
  }
  for (size_t i = 0; i < count; i++) multiply_windows(&r[which[i]], tables, lower, each[which[i]].k);
}

static void multiply_in_lanes(g1_projective *r, const struct secret_product *each, size_t count) {
  const g1_affine *points[LANES] = {NULL};
  const scalar *scalars[LANES] = {NULL};
  g1_projective products[LANES];
  g1_affine generator;
  g1_generator(&generator);
  for (size_t i = 0; i < count; i++) {
    points[i] = each[i].point ? each[i].point : &generator;
    scalars[i] = each[i].k;
  }
  lanes_multiply(products, points, scalars);
  memcpy(r, products, count * sizeof *r);
  explicit_bzero(products, sizeof products);
}

void secret_multiply_each(g1_projective *r, const struct secret_product *each, size_t count) {
  if (fp_has_lanes && count > 1) {
    multiply_in_lanes(r, each, count);
    return;
  }
  bool done[MAX_PRODUCTS] = {false};
  for (size_t i = 0; i < count; i++) {
    size_t same[MAX_PRODUCTS], found = 0;
    if (!each[i].point) secret_multiply_generator(&r[i], each[i].k);
    for (size_t j = i; each[i].point && !done[i] && j < count; j++) {
      if (each[j].point == each[i].point) same[found++] = j;
    }
    for (size_t j = 0; j < found; j++) done[same[j]] = true;
    if (found > 0) multiply_point(r, each, same, found);
  }
}

bool secret_normalise(g1_affine *r, const g1_projective *p, size_t count) {
  fp products[MAX_PRODUCTS], inverse, zi;
  if (count == 0 || count > MAX_PRODUCTS) return false;
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

// More than the deepest of these functions uses, lanes included.
enum { STACK_USED = 64 * 1024 };

__attribute__((noinline)) void secret_wipe_stack(void) {
  uint8_t left[STACK_USED];
  explicit_bzero(left, sizeof left);
}
