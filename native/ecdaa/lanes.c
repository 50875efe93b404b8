// The multiplications of a verification in eight lanes (fp256bn/lanes.h).
#include "batch.h"
#include "fp256bn/lanes.h"
#include <stdlib.h>

// Up to so many signatures get all lanes for themselves, one after the other.
#define ALONE 3
// Windows of 4 bits over a 64-bit half of a weight, and one for the carry.
#define WEIGHT_WINDOWS 17

// Both halves of a multiplication in two lanes: P with k1, its image under the endomorphism with k2.
struct split_lanes {
  g1_affine point[2];
  struct half half[2];
};

static void split(struct split_lanes *r, const g1_affine *point, const scalar *k, bool negate) {
  r->point[0] = r->point[1] = *point;
  fp_mul(&r->point[1].x, &BETA, &point->x);
  glv_split(&r->half[0], &r->half[1], k);
  for (int i = 0; negate && i < 2; i++) r->half[i].negative = ~r->half[i].negative;
}

static void split_weight(struct split_lanes *r, const g1_affine *point, const uint64_t weight[2]) {
  r->point[0] = r->point[1] = *point;
  fp_mul(&r->point[1].x, &BETA, &point->x);
  for (int i = 0; i < 2; i++) r->half[i] = (struct half){{weight[i], 0, 0}, 0};
}

// The products of up to four multiplications; one table, one run.
static bool multiply_split(g1_jacobian *products, const struct split_lanes *each, size_t count, int windows) {
  const g1_affine *points[LANES] = {NULL};
  struct lanes_table *table = lanes_tables(1);
  struct lanes_term term = {.table = table};
  g1_jacobian lanes[LANES];
  if (!table) return false;
  for (size_t i = 0; i < 2 * count; i++) {
    points[i] = &each[i / 2].point[i % 2];
    lanes_set_digits(&term, i, &each[i / 2].half[i % 2]);
  }
  lanes_make_table(table, points);
  lanes_sum(lanes, &term, 1, windows);
  for (size_t i = 0; i < count; i++) g1_add(&products[i], &lanes[2 * i], &lanes[2 * i + 1]);
  free(table);
  return true;
}

static bool multiply_alone(struct ecdaa_item *item, const struct ecdaa_group *group) {
  struct split_lanes each[4];
  g1_jacobian products[4];
  bool linked = group->basename_length > 0;
  split(&each[0], &item->S, &item->s, false);
  split(&each[1], &item->W, &item->c, true);
  if (linked) {
    split(&each[2], &group->basename_point, &item->s, false);
    split(&each[3], &item->K, &item->c, true);
  }
  if (!multiply_split(products, each, linked ? 4 : 2, HALF_WINDOWS)) return false;
  g1_add(&item->E, &products[0], &products[1]);
  if (linked) g1_add(&item->L, &products[2], &products[3]);
  return true;
}

// The four terms of s·P − c·Q for the lanes of up to eight items.
static void set_terms(struct lanes_term terms[4], struct ecdaa_item **items, size_t count, const struct lanes_table *p,
                      const struct lanes_table *q) {
  for (int i = 0; i < 4; i++) {
    terms[i].table = i < 2 ? p : q;
    terms[i].beta = i % 2;
  }
  for (size_t lane = 0; lane < count; lane++) {
    struct half halves[4];
    glv_split(&halves[0], &halves[1], &items[lane]->s);
    glv_split(&halves[2], &halves[3], &items[lane]->c);
    for (int i = 0; i < 4; i++) {
      if (i >= 2) halves[i].negative = ~halves[i].negative;
      lanes_set_digits(&terms[i], lane, &halves[i]);
    }
  }
}

static void multiply_eight(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group,
                           struct lanes_table *tables) {
  const g1_affine *S[LANES] = {NULL}, *W[LANES] = {NULL}, *K[LANES] = {NULL}, *P2[LANES] = {NULL};
  struct lanes_table *first = lanes_table_at(tables, 0), *second = lanes_table_at(tables, 1);
  struct lanes_term terms[4] = {{0}};
  g1_jacobian sums[LANES];
  for (size_t i = 0; i < count; i++) {
    S[i] = &items[i]->S;
    W[i] = &items[i]->W;
    K[i] = &items[i]->K;
    P2[i] = &group->basename_point;
  }
  lanes_make_table(first, S);
  lanes_make_table(second, W);
  set_terms(terms, items, count, first, second);
  lanes_sum(sums, terms, 4, HALF_WINDOWS);
  for (size_t i = 0; i < count; i++) items[i]->E = sums[i];
  if (group->basename_length == 0) return;
  lanes_make_table(first, P2);
  lanes_make_table(second, K);
  lanes_sum(sums, terms, 4, HALF_WINDOWS);
  for (size_t i = 0; i < count; i++) items[i]->L = sums[i];
}

bool ecdaa_lanes_multiply(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group) {
  if (count <= ALONE) {
    for (size_t i = 0; i < count; i++) {
      if (!multiply_alone(items[i], group)) return false;
    }
    return true;
  }
  struct lanes_table *tables = lanes_tables(2);
  if (!tables) return false;
  for (size_t i = 0; i < count; i += LANES) multiply_eight(items + i, count - i < LANES ? count - i : LANES, group, tables);
  free(tables);
  return true;
}

static const g1_affine *point_of(const struct ecdaa_item *item, int j) {
  const g1_affine *const points[4] = {&item->R, &item->S, &item->T, &item->W};
  return points[j];
}

bool ecdaa_lanes_weighted_sums(g1_jacobian sums[4], struct ecdaa_item **items, size_t count) {
  size_t groups = (count + LANES - 1) / LANES;
  struct lanes_table *tables = lanes_tables(groups);
  struct lanes_term *terms = calloc(2 * groups, sizeof *terms);
  bool done = tables && terms;
  for (size_t i = 0; done && i < count; i++) {
    for (int beta = 0; beta < 2; beta++) {
      struct lanes_term *term = &terms[i / LANES * 2 + beta];
      term->table = lanes_table_at(tables, i / LANES);
      term->beta = beta;
      lanes_set_digits(term, i % LANES, &(struct half){{items[i]->weight[beta], 0, 0}, 0});
    }
  }
  for (int j = 0; done && j < 4; j++) {
    g1_jacobian lanes[LANES];
    for (size_t group = 0; group < groups; group++) {
      const g1_affine *points[LANES] = {NULL};
      for (size_t i = 0; i < LANES && group * LANES + i < count; i++) points[i] = point_of(items[group * LANES + i], j);
      lanes_make_table(lanes_table_at(tables, group), points);
    }
    lanes_sum(lanes, terms, 2 * groups, WEIGHT_WINDOWS);
    sums[j] = lanes[0];
    for (int i = 1; i < LANES; i++) g1_add(&sums[j], &sums[j], &lanes[i]);
  }
  free(tables);
  free(terms);
  return done;
}

bool ecdaa_lanes_multiply_two(g1_jacobian products[2], const g1_jacobian points[2], const uint64_t weight[2]) {
  g1_affine affine[2];
  fp scratch[2];
  struct split_lanes each[2];
  if (g1_is_infinity(&points[0]) || g1_is_infinity(&points[1])) return false;
  g1_normalise(affine, points, 2, scratch);
  for (int i = 0; i < 2; i++) split_weight(&each[i], &affine[i], weight);
  return multiply_split(products, each, 2, WEIGHT_WINDOWS);
}
