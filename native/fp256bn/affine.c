// Additions of affine points, many at a time: all of a round share one inversion (Montgomery's trick), so that each takes six
// multiplications where a mixed one in Jacobian coordinates takes eleven, and its result needs no normalisation. Only for public
// points.
#include "g1.h"
#include <stdlib.h>

// The third point on the line through (x1, y1) and one with the coordinate x2, reflected. r may be one of them.
static inline void third_point(g1_affine *r, const fp *slope, const g1_affine *first, const fp *x2) {
  fp x, y;
  fp_sqr(&x, slope);
  fp_sub(&x, &x, &first->x);
  fp_sub(&x, &x, x2);
  fp_sub(&y, &first->x, &x);
  fp_mul(&y, &y, slope);
  fp_sub(&r->y, &y, &first->y);
  r->x = x;
}

// p + q with the inverse of q.x − p.x, which is not zero.
static void add_distinct(g1_affine *r, const g1_affine *p, const g1_affine *q, const fp *inverse) {
  fp slope;
  fp_sub(&slope, &q->y, &p->y);
  fp_mul(&slope, &slope, inverse);
  third_point(r, &slope, p, &q->x);
}

// 2p with the inverse of 2·p.y. r may be p.
static void double_affine(g1_affine *r, const g1_affine *p, const fp *inverse) {
  fp slope, twice;
  fp_sqr(&slope, &p->x);
  fp_double(&twice, &slope);
  fp_add(&slope, &slope, &twice);
  fp_mul(&slope, &slope, inverse);
  third_point(r, &slope, p, &p->x);
}

// No y is zero, and no odd multiple up to 15 is ±2P: the order is a large prime.
bool g1_make_tables_affine(struct g1_table *const *tables, const g1_affine *const *points, size_t count) {
  fp *inverses = malloc(2 * count * sizeof *inverses);
  g1_affine *twice = malloc(count * sizeof *twice);
  if (inverses && twice) {
    for (size_t i = 0; i < count; i++) fp_double(&inverses[i], &points[i]->y);
    fp_invert_each(inverses, inverses + count, count);
    for (size_t i = 0; i < count; i++) {
      tables[i]->odd[0].point = *points[i];
      double_affine(&twice[i], points[i], &inverses[i]);
    }
    for (size_t k = 1; k < TABLE; k++) {
      for (size_t i = 0; i < count; i++) fp_sub(&inverses[i], &twice[i].x, &tables[i]->odd[k - 1].point.x);
      fp_invert_each(inverses, inverses + count, count);
      for (size_t i = 0; i < count; i++)
        add_distinct(&tables[i]->odd[k].point, &tables[i]->odd[k - 1].point, &twice[i], &inverses[i]);
    }
    for (size_t i = 0; i < count; i++) {
      for (size_t k = 0; k < TABLE; k++) fp_mul(&tables[i]->odd[k].beta_x, &BETA, &tables[i]->odd[k].point.x);
    }
  }
  bool done = inverses && twice;
  free(inverses);
  free(twice);
  return done;
}

// What is added at the same position of all weights: for each position a list of terms.
struct lists {
  g1_affine *terms;
  size_t start[MAX_DIGITS], length[MAX_DIGITS];
  // What of each position could not be added in affine coordinates.
  g1_jacobian rest[MAX_DIGITS];
};

// One round: neighbours in each list become one. A pair with the same x has a tangent between its points or no sum at all: it is
// added in Jacobian coordinates. It occurs where somebody sends the same point twice, and nobody gains by that.
// Returns how many pairs are left, each with the difference of its x.
static size_t pair_up(struct lists *lists, size_t positions, fp *differences) {
  size_t pairs = 0;
  for (size_t i = 0; i < positions; i++) {
    g1_affine *terms = lists->terms + lists->start[i];
    size_t length = lists->length[i], kept = 0;
    for (size_t k = 0; k + 1 < length; k += 2) {
      fp difference;
      fp_sub(&difference, &terms[k + 1].x, &terms[k].x);
      if (fp_is_zero(&difference)) {
        g1_add_affine(&lists->rest[i], &lists->rest[i], &terms[k]);
        g1_add_affine(&lists->rest[i], &lists->rest[i], &terms[k + 1]);
        continue;
      }
      differences[pairs++] = difference;
      if (kept < k) memmove(&terms[kept], &terms[k], 2 * sizeof *terms);
      kept += 2;
    }
    if (length % 2) terms[kept++] = terms[length - 1];
    lists->length[i] = kept;
  }
  return pairs;
}

static void add_pairs(struct lists *lists, size_t positions, const fp *inverses) {
  for (size_t i = 0; i < positions; i++) {
    g1_affine *terms = lists->terms + lists->start[i];
    size_t length = lists->length[i], kept = 0;
    for (size_t k = 0; k + 1 < length; k += 2) add_distinct(&terms[kept++], &terms[k], &terms[k + 1], inverses++);
    if (length % 2) terms[kept++] = terms[length - 1];
    lists->length[i] = kept;
  }
}

static void take_terms(struct lists *lists, const struct g1_weighted *each, size_t count, size_t positions) {
  size_t used = 0;
  for (size_t i = 0; i < positions; i++) {
    lists->start[i] = used;
    g1_infinity(&lists->rest[i]);
    for (size_t j = 0; j < count; j++) {
      const struct digits *halves[2] = {&each[j].weight->k1, &each[j].weight->k2};
      for (int beta = 0; beta < 2; beta++) {
        int digit = (int)i < halves[beta]->length ? halves[beta]->digit[i] : 0;
        if (digit) g1_take_digit(&lists->terms[used++], each[j].table, digit, beta);
      }
    }
    lists->length[i] = used - lists->start[i];
  }
}

static size_t count_pairs(const struct lists *lists, size_t positions) {
  size_t pairs = 0;
  for (size_t i = 0; i < positions; i++) pairs += lists->length[i] / 2;
  return pairs;
}

static size_t count_terms(const struct digits *k) {
  size_t terms = 0;
  for (int i = 0; i < k->length; i++) terms += k->digit[i] != 0;
  return terms;
}

// An inversion costs as much as some 60 additions gain.
#define WORTH_A_ROUND 64

bool g1_sum_weighted(g1_jacobian *r, const struct g1_weighted *each, size_t count) {
  struct lists lists;
  size_t positions = 0, terms = 0;
  for (size_t j = 0; j < count; j++) {
    const struct digits *halves[2] = {&each[j].weight->k1, &each[j].weight->k2};
    for (int i = 0; i < 2; i++) {
      terms += count_terms(halves[i]);
      if ((size_t)halves[i]->length > positions) positions = (size_t)halves[i]->length;
    }
  }
  // A round has at most half as many pairs as there are terms.
  lists.terms = malloc((terms + 1) * sizeof *lists.terms);
  fp *inverses = malloc((terms + 1) * sizeof *inverses);
  bool done = lists.terms && inverses;
  if (done) {
    take_terms(&lists, each, count, positions);
    while (count_pairs(&lists, positions) >= WORTH_A_ROUND) {
      size_t pairs = pair_up(&lists, positions, inverses);
      fp_invert_each(inverses, inverses + pairs, pairs);
      add_pairs(&lists, positions, inverses);
    }
    g1_infinity(r);
    for (size_t i = positions; i-- > 0;) {
      g1_double(r, r);
      g1_add(r, r, &lists.rest[i]);
      for (size_t k = 0; k < lists.length[i]; k++) g1_add_affine(r, r, &lists.terms[lists.start[i] + k]);
    }
  }
  free(lists.terms);
  free(inverses);
  return done;
}
