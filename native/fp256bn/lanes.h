// Eight computations at once for processors with AVX-512 IFMA: many points, or the coefficients of one Fp12 element. Only for
// public values, except lanes_multiply(). Available if fp_has_lanes; the others of these functions must not be called without.
#pragma once
#include "pairing.h"

#define LANES 8
#define LANE_WINDOWS HALF_WINDOWS

// The multiples 0 … 8 of eight points, and their images under the endomorphism.
struct lanes_table;
// Room for `count` tables, to be freed with free(); NULL if out of memory.
struct lanes_table *lanes_tables(size_t count);
struct lanes_table *lanes_table_at(struct lanes_table *tables, size_t index);
// A NULL point stands for any: its lane is not used.
void lanes_make_table(struct lanes_table *table, const g1_affine *const points[LANES]);

// One digit of each lane for each window, and what they are digits of.
struct lanes_term {
  const struct lanes_table *table;
  // Uses the images under the endomorphism.
  bool beta;
  int8_t digits[LANE_WINDOWS][LANES];
};
// Puts the windows of a half scalar into a lane.
void lanes_set_digits(struct lanes_term *term, size_t lane, const struct half *k);
// In each lane the sum of its multiples, over the lowest `windows` windows.
void lanes_sum(g1_jacobian sums[LANES], const struct lanes_term *terms, size_t count, int windows);

// In each lane the product of a point and a scalar, which may be secret (secret.h); a lane without a point is infinity.
void lanes_multiply(g1_projective products[LANES], const g1_affine *const points[LANES], const scalar *const scalars[LANES]);

// A pairing's lines as lanes take them, to be freed with free(); NULL if out of memory.
struct lanes_lines;
struct lanes_lines *lanes_make_lines(const struct pairing_line *lines);
// As miller_loop() and power_u() of pairing.c.
void lanes_miller_loop(fp12 *f, const struct lanes_lines *const *lines, const struct evaluation *at, size_t count);
void lanes_power_u(fp12 *r, const fp12 *x);
