// Multiplication of public points with public scalars: GLV halves, interleaved wNAF, tables of odd multiples.
#include "g1.h"
#include <stdlib.h>

// p has prime order, so its odd multiples up to 511 are neither infinity nor equal to ±2p.
static void odd_multiples(g1_jacobian *r, const g1_affine *p, size_t count) {
  g1_jacobian twice;
  g1_from_affine(&r[0], p);
  g1_double(&twice, &r[0]);
  for (size_t i = 1; i < count; i++) g1_add(&r[i], &r[i - 1], &twice);
}

// Room for `count` points on their way to affine coordinates.
struct workspace {
  g1_jacobian *jacobian;
  g1_affine *affine;
  fp *scratch;
};

static void free_workspace(struct workspace *w) {
  free(w->jacobian);
  free(w->affine);
  free(w->scratch);
}

static bool make_workspace(struct workspace *w, size_t count) {
  w->jacobian = malloc(count * sizeof *w->jacobian);
  w->affine = malloc(count * sizeof *w->affine);
  w->scratch = malloc(count * sizeof *w->scratch);
  if (w->jacobian && w->affine && w->scratch) return true;
  free_workspace(w);
  return false;
}

static void with_endomorphism(struct g1_odd *r, const g1_affine *points, size_t count) {
  for (size_t i = 0; i < count; i++) {
    r[i].point = points[i];
    fp_mul(&r[i].beta_x, &BETA, &points[i].x);
  }
}

bool g1_make_tables(struct g1_table *const *tables, const g1_affine *const *points, size_t count) {
  if (count == 0) return true;
  if (count >= AFFINE_TABLES) return g1_make_tables_affine(tables, points, count);
  struct workspace w;
  if (!make_workspace(&w, count * TABLE)) return false;
  for (size_t i = 0; i < count; i++) odd_multiples(w.jacobian + i * TABLE, points[i], TABLE);
  g1_normalise(w.affine, w.jacobian, count * TABLE, w.scratch);
  for (size_t i = 0; i < count; i++) with_endomorphism(tables[i]->odd, w.affine + i * TABLE, TABLE);
  free_workspace(&w);
  return true;
}

bool g1_make_fixed_table(struct g1_fixed_table *table, const g1_affine *point) {
  struct workspace w;
  if (!make_workspace(&w, FIXED_TABLE)) return false;
  odd_multiples(w.jacobian, point, FIXED_TABLE);
  g1_normalise(w.affine, w.jacobian, FIXED_TABLE, w.scratch);
  with_endomorphism(table->odd, w.affine, FIXED_TABLE);
  free_workspace(&w);
  return true;
}

void wnaf(struct digits *r, const struct half *h, int width) {
  uint64_t low = h->limb[0], middle = h->limb[1], high = h->limb[2];
  int sign = h->negative ? -1 : 1;
  memset(r, 0, sizeof *r);
  for (int position = 0; low | middle | high;) {
    int zeros = low ? __builtin_ctzll(low) : 63;
    if (zeros > 0) {
      low = low >> zeros | middle << (64 - zeros);
      middle = middle >> zeros | high << (64 - zeros);
      high >>= zeros;
      position += zeros;
    }
    if (!(low & 1)) continue;
    int digit = (int)(low & ((1u << width) - 1));
    if (digit >> (width - 1)) digit -= 1 << width;
    uint64_t carry = 0;
    if (digit > 0) {
      low -= (uint64_t)digit;  // its low bits: no borrow
    } else {
      low = add_carry(low, (uint64_t)-digit, &carry);
      middle = add_carry(middle, 0, &carry);
      high += carry;
    }
    r->digit[position] = (int16_t)(sign * digit);
    r->length = position + 1;
  }
}

void split_wnaf(struct split_digits *r, const scalar *k, int width, bool negate) {
  struct half k1, k2;
  glv_split(&k1, &k2, k);
  if (negate) {
    k1.negative = ~k1.negative;
    k2.negative = ~k2.negative;
  }
  wnaf(&r->k1, &k1, width);
  wnaf(&r->k2, &k2, width);
}

void wnaf_128(struct split_digits *r, const uint64_t rho[2]) {
  wnaf(&r->k1, &(struct half){{rho[0], 0, 0}, 0}, WINDOW);
  wnaf(&r->k2, &(struct half){{rho[1], 0, 0}, 0}, WINDOW);
}

static void add_digit(g1_jacobian *r, const struct digits *k, const struct g1_odd *table, int position, bool beta) {
  int digit = position < k->length ? k->digit[position] : 0;
  if (!digit) return;
  g1_affine term;
  g1_take_digit(&term, table, digit, beta);
  g1_add_affine(r, r, &term);
}

static void add_digits(g1_jacobian *r, const struct split_digits *k, const struct g1_odd *table, int position) {
  add_digit(r, &k->k1, table, position, false);
  add_digit(r, &k->k2, table, position, true);
}

static int longest(const struct split_digits *k) { return k->k1.length > k->k2.length ? k->k1.length : k->k2.length; }

void g1_multiply_add(g1_jacobian *r, const struct split_digits *a, const struct g1_odd *p, const struct split_digits *b,
                     const struct g1_odd *q) {
  g1_jacobian sum;
  g1_infinity(&sum);
  int length = longest(a) > longest(b) ? longest(a) : longest(b);
  for (int i = length; i-- > 0;) {
    g1_double(&sum, &sum);
    add_digits(&sum, a, p, i);
    add_digits(&sum, b, q, i);
  }
  *r = sum;
}

void g1_multiply_digits(g1_jacobian *r, const struct split_digits *k, const struct g1_odd *p) {
  static const struct split_digits zero = {{{0}, 0}, {{0}, 0}};
  g1_multiply_add(r, k, p, &zero, p);
}
