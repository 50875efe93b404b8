// Eight multiplications at once. Tables are read as a whole and nothing branches on a digit, and the formulas are complete, so lanes need no special cases (Renes, Costello,
// Batina: "Complete addition formulas for prime order elliptic curves", algorithms 7 and 9).
#include "fp256bn/lanes.h"
#include <stdlib.h>

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
#include "fp.h"

#define MULTIPLES 9

// x = X/Z, y = Y/Z in each lane; coordinates are folded.
struct points { lanes x, y, z; };

struct lanes_table {
  struct points multiple[MULTIPLES];
  lanes beta_x[MULTIPLES];
};

struct lanes_table *lanes_tables(size_t count) { return aligned_alloc(64, (count + 1) * sizeof(struct lanes_table)); }

struct lanes_table *lanes_table_at(struct lanes_table *tables, size_t index) { return &tables[index]; }

// 9x, folded
LANE_FUNCTION lanes times_9(lanes x) { return fold(lanes_add(lanes_shift(x, 3), x)); }

// y's bound may be 2, all others are 1.
WITH_LANES static void add_points(struct points *r, const struct points *p, const struct points *q) {
  lanes xx = lanes_mul(p->x, q->x);
  lanes yy = lanes_mul(p->y, q->y);
  lanes zz = lanes_mul(p->z, q->z);
  lanes xy = lanes_mul(carry(lanes_add(p->x, p->y)), carry(lanes_add(q->x, q->y)));
  lanes yz = lanes_mul(carry(lanes_add(p->y, p->z)), carry(lanes_add(q->y, q->z)));
  lanes xz = lanes_mul(carry(lanes_add(p->x, p->z)), carry(lanes_add(q->x, q->z)));
  // Bounds: 1.1 for xx, yy and zz, 1.4 for the others.
  xy = carry(lanes_sub(xy, lanes_add(xx, yy), LANES_4P));
  yz = carry(lanes_sub(yz, lanes_add(yy, zz), LANES_4P));
  xz = times_9(lanes_sub(xz, lanes_add(xx, zz), LANES_4P));
  xx = carry(lanes_add(lanes_shift(xx, 1), xx));
  zz = times_9(zz);
  lanes sum = carry(lanes_add(yy, zz));
  lanes difference = carry(lanes_sub(yy, zz, LANES_2P));
  // Bounds: 5.4 for xy and yz, 1 for xz, 3.3 for xx, 2.1 for the sum, 3.1 for the difference.
  lanes minus_yz = carry(lanes_sub(lanes_zero(), yz, LANES_8P));
  r->x = fold(wide_reduce(wide_multiply_add(wide_multiply_add(wide_zero(), xy, difference), minus_yz, xz)));
  r->y = fold(wide_reduce(wide_multiply_add(wide_multiply_add(wide_zero(), xz, xx), difference, sum)));
  r->z = fold(wide_reduce(wide_multiply_add(wide_multiply_add(wide_zero(), sum, yz), xx, xy)));
}

WITH_LANES static void double_points(struct points *r) {
  lanes yy = lanes_mul(r->y, r->y);
  lanes yz = lanes_mul(r->y, r->z);
  lanes xy = lanes_mul(r->x, r->y);
  lanes zz = times_9(lanes_mul(r->z, r->z));
  lanes yy8 = carry(lanes_shift(yy, 3));
  lanes sum = carry(lanes_add(yy, zz));
  lanes difference = carry(lanes_sub(yy, lanes_add(lanes_shift(zz, 1), zz), LANES_4P));
  // Bounds: 1.1 for products, 8.8 for yy8, 2.1 for the sum, 5.1 for the difference.
  r->y = fold(wide_reduce(wide_multiply_add(wide_multiply_add(wide_zero(), zz, yy8), sum, difference)));
  r->z = fold(lanes_mul(yz, yy8));
  r->x = fold(lanes_shift(lanes_mul(difference, xy), 1));
}

WITH_LANES static void infinity(struct points *r) {
  r->x = r->z = lanes_zero();
  r->y = lanes_constant(LANES_ONE);
}

WITH_LANES void lanes_make_table(struct lanes_table *table, const g1_affine *const points[LANES]) {
  lanes_memory x, y;
  memset(&x, 0, sizeof x);
  memset(&y, 0, sizeof y);
  for (size_t i = 0; i < LANES; i++) {
    if (!points[i]) continue;
    set_lane(&x, i, &points[i]->x);
    set_lane(&y, i, &points[i]->y);
  }
  const lanes beta = lanes_constant(LANES_BETA);
  infinity(&table->multiple[0]);
  table->multiple[1] = (struct points){x.vector, y.vector, lanes_constant(LANES_ONE)};
  for (int i = 2; i < MULTIPLES; i++) add_points(&table->multiple[i], &table->multiple[i - 1], &table->multiple[1]);
  for (int i = 0; i < MULTIPLES; i++) table->beta_x[i] = fold(lanes_mul(beta, table->multiple[i].x));
}

WITH_LANES void lanes_set_digits(struct lanes_term *term, size_t lane, const struct half *k) {
  int8_t digits[HALF_WINDOWS];
  half_windows(digits, k);
  for (int i = 0; i < LANE_WINDOWS; i++) term->digits[i][lane] = digits[i];
  explicit_bzero(digits, sizeof digits);
}

// r += digit·P in each lane.
WITH_LANES static void add_term(struct points *r, const struct lanes_term *term, int window) {
  long long packed;
  memcpy(&packed, term->digits[window], sizeof packed);
  __m512i digits = _mm512_cvtepi8_epi64(_mm_cvtsi64_si128(packed));
  __m512i sizes = _mm512_abs_epi64(digits);
  const struct lanes_table *table = term->table;
  struct points q = table->multiple[0];
  for (int i = 1; i < MULTIPLES; i++) {
    __mmask8 here = _mm512_cmpeq_epi64_mask(sizes, all_lanes((uint64_t)i));
    q.x = lanes_select(q.x, here, term->beta ? table->beta_x[i] : table->multiple[i].x);
    q.y = lanes_select(q.y, here, table->multiple[i].y);
    q.z = lanes_select(q.z, here, table->multiple[i].z);
  }
  lanes opposite = carry(lanes_sub(lanes_zero(), q.y, LANES_2P));
  q.y = lanes_select(q.y, _mm512_movepi64_mask(digits), opposite);
  add_points(r, r, &q);
}

WITH_LANES static void sum_terms(struct points *sum, const struct lanes_term *terms, size_t count, int windows) {
  infinity(sum);
  for (int i = windows; i-- > 0;) {
    if (i < windows - 1) {
      for (int j = 0; j < 4; j++) double_points(sum);
    }
    for (size_t k = 0; k < count; k++) add_term(sum, &terms[k], i);
  }
}

WITH_LANES static void take_out(g1_projective sums[LANES], const struct points *p) {
  lanes_memory x = {p->x}, y = {p->y}, z = {p->z};
  for (size_t i = 0; i < LANES; i++) {
    get_lane(&sums[i].x, &x, i);
    get_lane(&sums[i].y, &y, i);
    get_lane(&sums[i].z, &z, i);
  }
}

// (X : Y : Z) is (XZ, YZ², Z) in Jacobian coordinates.
WITH_LANES void lanes_sum(g1_jacobian sums[LANES], const struct lanes_term *terms, size_t count, int windows) {
  struct points sum;
  g1_projective projective[LANES];
  sum_terms(&sum, terms, count, windows);
  take_out(projective, &sum);
  for (size_t i = 0; i < LANES; i++) {
    const g1_projective *p = &projective[i];
    fp_mul(&sums[i].x, &p->x, &p->z);
    fp_mul(&sums[i].y, &p->y, &p->z);
    fp_mul(&sums[i].y, &sums[i].y, &p->z);
    sums[i].z = p->z;
  }
}

WITH_LANES void lanes_multiply(g1_projective products[LANES], const g1_affine *const points[LANES],
                               const scalar *const scalars[LANES]) {
  struct lanes_table table;
  struct points sum;
  struct half halves[2];
  struct lanes_term terms[2] = {{.table = &table}, {.table = &table, .beta = true}};
  for (size_t lane = 0; lane < LANES; lane++) {
    if (!points[lane]) continue;
    glv_split(&halves[0], &halves[1], scalars[lane]);
    for (int i = 0; i < 2; i++) lanes_set_digits(&terms[i], lane, &halves[i]);
  }
  lanes_make_table(&table, points);
  sum_terms(&sum, terms, 2, HALF_WINDOWS);
  take_out(products, &sum);
  explicit_bzero(halves, sizeof halves);
  explicit_bzero(terms, sizeof terms);
  explicit_bzero(&sum, sizeof sum);
}

#else

// Never called: fp_choose() refuses.
struct lanes_table *lanes_tables(size_t count) {
  (void)count;
  return NULL;
}

struct lanes_table *lanes_table_at(struct lanes_table *tables, size_t index) {
  (void)index;
  return tables;
}

void lanes_make_table(struct lanes_table *table, const g1_affine *const points[LANES]) {
  (void)table;
  (void)points;
}

void lanes_set_digits(struct lanes_term *term, size_t lane, const struct half *k) {
  (void)term;
  (void)lane;
  (void)k;
}

void lanes_sum(g1_jacobian sums[LANES], const struct lanes_term *terms, size_t count, int windows) {
  (void)terms;
  (void)count;
  (void)windows;
  memset(sums, 0, LANES * sizeof *sums);
}

void lanes_multiply(g1_projective products[LANES], const g1_affine *const points[LANES], const scalar *const scalars[LANES]) {
  (void)points;
  (void)scalars;
  memset(products, 0, LANES * sizeof *products);
}

#endif
