// The cheap and individual part of verification: decoding, the Schnorr proof, revocation.
#include "batch.h"
#include <stdlib.h>

#define POINTS_OFFSET (2 * SCALAR_LENGTH)
#define S_OFFSET (POINTS_OFFSET + G1_LENGTH)
#define T_OFFSET (POINTS_OFFSET + 2 * G1_LENGTH)
#define W_OFFSET (POINTS_OFFSET + 3 * G1_LENGTH)
#define NONCE_OFFSET (POINTS_OFFSET + 4 * G1_LENGTH)
#define TABLES_EACH 5

bool ecdaa_read(struct ecdaa_item *item, const struct ecdaa_group *group, const struct ecdaa_claim *claim, size_t index) {
  bool linked = group->basename_length > 0;
  if (claim->signature_length != (linked ? LINKED_SIGNATURE_LENGTH : SIGNATURE_LENGTH)) return false;
  const uint8_t *bytes = claim->signature;
  item->claim = claim;
  item->index = index;
  return scalar_decode(&item->c, bytes) && scalar_decode(&item->s, bytes + SCALAR_LENGTH) &&
         g1_decode(&item->R, bytes + POINTS_OFFSET) && g1_decode(&item->S, bytes + S_OFFSET) &&
         g1_decode(&item->T, bytes + T_OFFSET) && g1_decode(&item->W, bytes + W_OFFSET) &&
         (!linked || g1_decode(&item->K, bytes + SIGNATURE_LENGTH));
}

// The tables of all items' points, with one inversion.
static bool make_tables(struct ecdaa_item **items, size_t count, bool linked, bool with_all) {
  struct g1_table *tables[MAX_BATCH * TABLES_EACH] = {NULL};
  const g1_affine *points[MAX_BATCH * TABLES_EACH] = {NULL};
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    struct ecdaa_item *item = items[i];
    const struct { g1_affine *point; struct g1_table *table; bool wanted; } each[TABLES_EACH] = {
        {&item->S, &item->S_table, true},   {&item->W, &item->W_table, true},     {&item->K, &item->K_table, linked},
        {&item->R, &item->R_table, true}, {&item->T, &item->T_table, with_all},
    };
    for (int j = 0; j < TABLES_EACH; j++) {
      if (!each[j].wanted) continue;
      points[used] = each[j].point;
      tables[used++] = each[j].table;
    }
  }
  return g1_make_tables(tables, points, used);
}

static void multiply(struct ecdaa_item *item, const struct ecdaa_group *group) {
  struct split_digits s, minus_c, s_fixed;
  split_wnaf(&s, &item->s, WINDOW, false);
  split_wnaf(&minus_c, &item->c, WINDOW, true);
  g1_multiply_add(&item->E, &s, item->S_table.odd, &minus_c, item->W_table.odd);
  if (group->basename_length == 0) return;
  split_wnaf(&s_fixed, &item->s, FIXED_WINDOW, false);
  g1_multiply_add(&item->L, &s_fixed, group->basename_table.odd, &minus_c, item->K_table.odd);
}

// E and L of all items.
static bool multiply_all(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group, bool with_all) {
  if (fp_has_lanes) return ecdaa_lanes_multiply(items, count, group);
  if (!make_tables(items, count, group->basename_length > 0, with_all)) return false;
  for (size_t i = 0; i < count; i++) multiply(items[i], group);
  return true;
}

static bool challenge_holds(const struct ecdaa_item *item, const struct ecdaa_group *group, const g1_affine *E,
                            const g1_affine *L) {
  const uint8_t *bytes = item->claim->signature;
  uint8_t commitment[G1_LENGTH], linked[G1_LENGTH];
  g1_encode(commitment, E);
  if (group->basename_length > 0) g1_encode(linked, L);
  scalar c;
  ecdaa_challenge(&c, bytes + NONCE_OFFSET,
                  &(struct ecdaa_statement){.commitment = commitment,
                                            .base = bytes + S_OFFSET,
                                            .public_point = bytes + W_OFFSET,
                                            .linked_commitment = linked,
                                            .basename_point = group->encoded_basename_point,
                                            .pseudonym = bytes + SIGNATURE_LENGTH,
                                            .basename = group->basename,
                                            .basename_length = group->basename_length,
                                            .message = item->claim->message,
                                            .message_length = item->claim->message_length});
  return memcmp(&c, &item->c, sizeof c) == 0;
}

// Infinity has no encoding: a proof that leads there is refused.
static size_t keep_finite(struct ecdaa_item **items, size_t count, bool linked) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (!g1_is_infinity(&items[i]->E) && !(linked && g1_is_infinity(&items[i]->L))) items[kept++] = items[i];
  }
  return kept;
}

// E and L of all items, affine, with one inversion: E of the i-th at i·stride, L after it.
static void normalise(g1_affine *r, struct ecdaa_item **items, size_t count, bool linked) {
  g1_jacobian points[2 * MAX_BATCH];
  fp scratch[2 * MAX_BATCH];
  size_t stride = linked ? 2 : 1;
  for (size_t i = 0; i < count; i++) {
    points[i * stride] = items[i]->E;
    if (linked) points[i * stride + 1] = items[i]->L;
  }
  g1_normalise(r, points, count * stride, scratch);
}

// 1 if revoked, 0 if not, -1 if out of memory.
static int is_revoked(const struct ecdaa_item *item, const struct ecdaa_group *group) {
  if (group->basename_length == 0) return ecdaa_group_has_revoked_secret(group, &item->S, &item->W);
  return ecdaa_group_has_revoked(group, item->claim->signature + SIGNATURE_LENGTH);
}

int ecdaa_keep_proved(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group, bool with_all) {
  bool linked = group->basename_length > 0;
  if (!multiply_all(items, count, group, with_all)) return -1;
  count = keep_finite(items, count, linked);
  g1_affine points[2 * MAX_BATCH];
  size_t stride = linked ? 2 : 1, kept = 0;
  normalise(points, items, count, linked);
  for (size_t i = 0; i < count; i++) {
    if (!challenge_holds(items[i], group, &points[i * stride], &points[i * stride + stride - 1])) continue;
    int revoked = is_revoked(items[i], group);
    if (revoked < 0) return -1;
    if (!revoked) items[kept++] = items[i];
  }
  return (int)kept;
}
