// The points of E: y² = x³ + 3 for public numbers: times depend on them. Secret scalars go through secret.h.
#pragma once
#include "fp.h"
#include "scalar.h"
#include <stdlib.h>

// x = X/Z², y = Y/Z³; infinity has Z = 0.
typedef struct { fp x, y, z; } g1_jacobian;
// x = X/Z, y = Y/Z; infinity is (0 : 1 : 0).
typedef struct { fp x, y, z; } g1_projective;

// 04 ‖ x ‖ y, 65 bytes: tag, range and curve equation checked, false otherwise (ecdaa.md §2; the cofactor is 1).
bool g1_decode(g1_affine *r, const uint8_t *bytes);
void g1_encode(uint8_t *bytes, const g1_affine *p);
bool g1_on_curve(const fp *x, const fp *y);
// (1, 2)
void g1_generator(g1_affine *r);

void g1_infinity(g1_jacobian *r);
static inline bool g1_is_infinity(const g1_jacobian *p) { return fp_is_zero(&p->z); }
void g1_from_affine(g1_jacobian *r, const g1_affine *p);
void g1_neg(g1_jacobian *p);
void g1_double(g1_jacobian *r, const g1_jacobian *p);
void g1_add(g1_jacobian *r, const g1_jacobian *p, const g1_jacobian *q);
void g1_add_affine(g1_jacobian *r, const g1_jacobian *p, const g1_affine *q);
// All of them affine with a single inversion; none may be infinity. `scratch` has room for `count` elements.
void g1_normalise(g1_affine *r, const g1_jacobian *p, size_t count, fp *scratch);

// The odd multiples P, 3P, 5P … of a point and their images under the endomorphism, (beta_x, y).
struct g1_odd {
  g1_affine point;
  fp beta_x;
};
// A width-w NAF uses 2^(w−2) odd multiples.
#define WINDOW 5
#define TABLE 8
#define FIXED_WINDOW 10
#define FIXED_TABLE 256
struct g1_table { struct g1_odd odd[TABLE]; };
struct g1_fixed_table { struct g1_odd odd[FIXED_TABLE]; };

// The tables of `count` points, with a single inversion. False if out of memory.
bool g1_make_tables(struct g1_table *const *tables, const g1_affine *const *points, size_t count);
// The larger table of a point that stays. False if out of memory.
bool g1_make_fixed_table(struct g1_fixed_table *table, const g1_affine *point);

// Signed digits of a half scalar, least significant first; at most every w-th is not zero.
#define MAX_DIGITS 132
struct digits {
  int16_t digit[MAX_DIGITS];
  int length;
};
void wnaf(struct digits *r, const struct half *h, int width);

// A scalar ready for interleaved multiplication.
struct split_digits { struct digits k1, k2; };
void split_wnaf(struct split_digits *r, const scalar *k, int width, bool negate);
// ρ = low + high·λ, 128 bits that need no splitting.
void wnaf_128(struct split_digits *r, const uint64_t rho[2]);

// The multiple of a point that a digit stands for, of its image under the endomorphism if `beta`; the digit is not zero.
static inline void g1_take_digit(g1_affine *term, const struct g1_odd *table, int digit, bool beta) {
  const struct g1_odd *odd = &table[abs(digit) / 2];
  *term = odd->point;
  if (beta) term->x = odd->beta_x;
  if (digit < 0) fp_neg(&term->y, &term->y);
}
// a·P + b·Q from digits and tables of odd multiples, sharing the doublings.
void g1_multiply_add(g1_jacobian *r, const struct split_digits *a, const struct g1_odd *p, const struct split_digits *b,
                     const struct g1_odd *q);
// k·P from digits and a table.
void g1_multiply_digits(g1_jacobian *r, const struct split_digits *k, const struct g1_odd *p);

// Many at a time in affine coordinates (affine.c). Both are false if out of memory.
// As g1_make_tables(): worth its inversions from AFFINE_TABLES points on.
#define AFFINE_TABLES 24
bool g1_make_tables_affine(struct g1_table *const *tables, const g1_affine *const *points, size_t count);
// A point's table and what the point is multiplied with.
struct g1_weighted {
  const struct g1_odd *table;
  const struct split_digits *weight;
};
// The sum of `count` products.
bool g1_sum_weighted(g1_jacobian *r, const struct g1_weighted *each, size_t count);
