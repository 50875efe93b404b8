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

// R, S, T and W of the items, each times its item's weight, summed up. False if out of memory.
static bool weighted_sums(g1_jacobian sums[4], struct ecdaa_item **items, size_t count) {
  struct g1_weighted each[MAX_BATCH];
  for (int j = 0; j < 4; j++) {
    for (size_t i = 0; i < count; i++) {
      const struct g1_table *tables[4] = {&items[i]->R_table, &items[i]->S_table, &items[i]->T_table, &items[i]->W_table};
      each[i] = (struct g1_weighted){tables[j]->odd, &items[i]->weight_digits};
    }
    if (!g1_sum_weighted(&sums[j], each, count)) return false;
  }
  return true;
}

// products = z·points; false if a point is infinity. A single signature's points are R and S themselves, of which there are tables.
static bool multiply_by_z(struct check *check, g1_jacobian products[2], const g1_jacobian points[2],
                          const struct ecdaa_item *single) {
  if (g1_is_infinity(&points[0]) || g1_is_infinity(&points[1])) return false;
  if (fp_has_lanes) {
    bool done = ecdaa_lanes_multiply_two(products, points, check->z);
    check->out_of_memory |= !done;
    return done;
  }
  if (single) {
    g1_multiply_digits(&products[0], &check->z_digits, single->R_table.odd);
    g1_multiply_digits(&products[1], &check->z_digits, single->S_table.odd);
    return true;
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
  bool done = weighted_sums(sums, items, count);
  check->out_of_memory |= !done;
  return done;
}

// e(zΣρR, Y) · e(ΣρT − zΣρS, G2) · e(−Σρ(R + W), X) = 1, for a single item with ρ = 1. A batch with a forgery passes with
// probability 2⁻¹²⁷: the points have prime order, X and Y were checked to be in the subgroup, and ρ and z were drawn when the
// signatures were fixed. Infinity is refused wherever it occurs: an honest signature never leads there.
static bool certifies(struct check *check, struct ecdaa_item **items, size_t count) {
  const struct ecdaa_group *group = check->group;
  const struct pairing_lines *lines[3] = {&group->y_lines, &group->generator_lines, &group->x_lines};
  g1_jacobian sums[4], terms[3], products[2];
  if (!sum_up(check, sums, items, count)) return false;
  if (!multiply_by_z(check, products, sums, count == 1 ? items[0] : NULL)) return false;
  terms[0] = products[0];
  g1_neg(&products[1]);
  g1_add(&terms[1], &sums[2], &products[1]);
  g1_add(&terms[2], &sums[0], &sums[3]);
  g1_neg(&terms[2]);
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
