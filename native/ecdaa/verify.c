// The expensive part of verification, the pairings, once for a whole batch; and the run as a whole (ecdaa.md §7).
#include "batch.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

// With so many forgeries in a batch, halving it costs more than checking each signature.
#define MAX_BAD 3

static bool draw(void *r, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t got = getrandom((uint8_t *)r + done, length - done, 0);
    if (got < 0 && errno != EINTR) return false;
    if (got > 0) done += (size_t)got;
  }
  return true;
}

// A check in progress: which signatures are in question, and how many were found bad.
struct check {
  const struct ecdaa_group *group;
  uint64_t z[2];
  struct split_digits z_digits;
  bool *accepted;
  int bad;
  bool out_of_memory;
};

// r = z·p. No inversion for the sake of a table that is used once.
static void multiply_128(g1_jacobian *r, const struct split_digits *z, const g1_jacobian *p) {
  g1_jacobian odd[TABLE], twice, sum;
  odd[0] = *p;
  g1_double(&twice, p);
  for (int i = 1; i < TABLE; i++) g1_add(&odd[i], &odd[i - 1], &twice);
  g1_infinity(&sum);
  int length = z->k1.length > z->k2.length ? z->k1.length : z->k2.length;
  for (int i = length; i-- > 0;) {
    int digits[2] = {i < z->k1.length ? z->k1.digit[i] : 0, i < z->k2.length ? z->k2.digit[i] : 0};
    g1_double(&sum, &sum);
    for (int j = 0; j < 2; j++) {
      if (!digits[j]) continue;
      g1_jacobian term = odd[abs(digits[j]) / 2];
      if (j == 1) fp_mul(&term.x, &term.x, &BETA);
      if (digits[j] < 0) g1_neg(&term);
      g1_add(&sum, &sum, &term);
    }
  }
  *r = sum;
}

static void add_weighted(g1_jacobian *sum, const struct g1_odd *table, int digit, int beta_digit) {
  if (digit) g1_add_digit(sum, table, digit);
  if (beta_digit) g1_add_digit_beta(sum, table, beta_digit);
}

// R, S, T and W of the items, each times its item's weight, summed up.
static void weighted_sums(g1_jacobian sums[4], struct ecdaa_item **items, size_t count) {
  int length = 0;
  for (size_t i = 0; i < count; i++) {
    const struct split_digits *weight = &items[i]->weight_digits;
    if (weight->k1.length > length) length = weight->k1.length;
    if (weight->k2.length > length) length = weight->k2.length;
  }
  for (int j = 0; j < 4; j++) g1_infinity(&sums[j]);
  for (int position = length; position-- > 0;) {
    for (int j = 0; j < 4; j++) g1_double(&sums[j], &sums[j]);
    for (size_t i = 0; i < count; i++) {
      const struct ecdaa_item *item = items[i];
      int digit = position < item->weight_digits.k1.length ? item->weight_digits.k1.digit[position] : 0;
      int beta_digit = position < item->weight_digits.k2.length ? item->weight_digits.k2.digit[position] : 0;
      add_weighted(&sums[0], item->R_table.odd, digit, beta_digit);
      add_weighted(&sums[1], item->S_table.odd, digit, beta_digit);
      add_weighted(&sums[2], item->T_table.odd, digit, beta_digit);
      add_weighted(&sums[3], item->W_table.odd, digit, beta_digit);
    }
  }
}

// products = z·points; false if a point is infinity.
static bool multiply_by_z(struct check *check, g1_jacobian products[2], const g1_jacobian points[2]) {
  if (g1_is_infinity(&points[0]) || g1_is_infinity(&points[1])) return false;
  if (fp_has_lanes) {
    bool done = ecdaa_lanes_multiply_two(products, points, check->z);
    check->out_of_memory |= !done;
    return done;
  }
  for (int i = 0; i < 2; i++) multiply_128(&products[i], &check->z_digits, &points[i]);
  return true;
}

static bool sum_up(struct check *check, g1_jacobian sums[4], struct ecdaa_item **items, size_t count) {
  if (count == 1) {
    g1_from_affine(&sums[0], &items[0]->R);
    g1_from_affine(&sums[1], &items[0]->S);
    g1_from_affine(&sums[2], &items[0]->T);
    g1_from_affine(&sums[3], &items[0]->W);
    return true;
  }
  if (fp_has_lanes) {
    bool done = ecdaa_lanes_weighted_sums(sums, items, count);
    check->out_of_memory |= !done;
    return done;
  }
  weighted_sums(sums, items, count);
  return true;
}

// e(ΣρR, Y) · e(zΣρT − ΣρS, G2) · e(−zΣρ(R + W), X) = 1, for a single item with ρ = 1. A batch with a forgery passes with
// probability 2⁻¹²⁷: the points have prime order, X and Y were checked to be in the subgroup, and ρ and z were drawn when the
// signatures were fixed. Infinity is refused wherever it occurs: an honest signature never leads there.
static bool certifies(struct check *check, struct ecdaa_item **items, size_t count) {
  const struct ecdaa_group *group = check->group;
  const struct pairing_lines *lines[3] = {&group->y_lines, &group->generator_lines, &group->x_lines};
  g1_jacobian sums[4], terms[3], points[2], products[2];
  if (!sum_up(check, sums, items, count)) return false;
  points[0] = sums[2];
  g1_add(&points[1], &sums[0], &sums[3]);
  if (!multiply_by_z(check, products, points)) return false;
  g1_neg(&sums[1]);
  g1_neg(&products[1]);
  terms[0] = sums[0];
  g1_add(&terms[1], &products[0], &sums[1]);
  terms[2] = products[1];
  return pairing_product_is_one(terms, lines, 3);
}

// Finds the bad ones by halving; `known_bad` if a check of the whole and one of its other half have found so already.
static void divide(struct check *check, struct ecdaa_item **items, size_t count, bool known_bad) {
  if (check->bad >= MAX_BAD && count > 1) {
    for (size_t i = 0; i < count; i++) divide(check, items + i, 1, false);
    return;
  }
  if (!known_bad && certifies(check, items, count)) {
    for (size_t i = 0; i < count; i++) check->accepted[items[i]->index] = true;
    return;
  }
  if (count == 1) {
    check->bad++;
    return;
  }
  int bad = check->bad;
  divide(check, items, count / 2, false);
  divide(check, items + count / 2, count - count / 2, check->bad == bad);
}

bool ecdaa_accept_certified(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group, bool *accepted) {
  uint64_t random[MAX_BATCH + 1][2];
  struct check check = {.group = group, .accepted = accepted};
  if (count == 0) return true;
  if (!draw(random, (count + 1) * sizeof random[0])) return false;
  for (size_t i = 0; i < count; i++) {
    memcpy(items[i]->weight, random[i], sizeof random[i]);
    wnaf_128(&items[i]->weight_digits, random[i]);
  }
  memcpy(check.z, random[count], sizeof random[count]);
  wnaf_128(&check.z_digits, random[count]);
  divide(&check, items, count, false);
  return !check.out_of_memory;
}

bool ecdaa_verify(struct ecdaa_group *group, const struct ecdaa_claim *claims, size_t count, bool *accepted) {
  memset(accepted, 0, count * sizeof *accepted);
  if (count > MAX_BATCH || !ecdaa_group_prepare(group)) return false;
  struct ecdaa_item *items = malloc((count + 1) * sizeof *items), *readable[MAX_BATCH];
  if (!items) return false;
  size_t read = 0;
  for (size_t i = 0; i < count; i++) {
    if (ecdaa_read(&items[read], group, &claims[i], i)) {
      readable[read] = &items[read];
      read++;
    }
  }
  int proved = ecdaa_keep_proved(readable, read, group, read > 1);
  bool done = proved >= 0 && ecdaa_accept_certified(readable, (size_t)proved, group, accepted);
  free(items);
  if (!done) memset(accepted, 0, count * sizeof *accepted);
  return done;
}
