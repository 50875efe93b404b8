#include "group.h"
#include <errno.h>
#include <stdlib.h>

static void *copy_of(const void *data, size_t length) {
  void *copy = malloc(length ? length : 1);
  if (copy && length) memcpy(copy, data, length);
  return copy;
}

static void forget_lines(struct ecdaa_group *group) {
  pairing_forget(&group->x_lines);
  pairing_forget(&group->y_lines);
  pairing_forget(&group->generator_lines);
}

static void free_group(struct ecdaa_group *group) {
  if (group->secrets) explicit_bzero(group->secrets, group->secret_count * sizeof *group->secrets);
  forget_lines(group);
  free(group->secrets);
  free(group->revoked);
  free(group->basename);
  pthread_mutex_destroy(&group->preparing);
  free(group);
}

static bool read_secrets(struct ecdaa_group *group, const uint8_t *secrets, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!scalar_decode(&group->secrets[i], secrets + i * SCALAR_LENGTH) || scalar_is_zero(&group->secrets[i])) return false;
  }
  group->secret_count = count;
  return true;
}

// Pseudonyms are compared as bytes: a point has one encoding only.
static bool read_pseudonyms(struct ecdaa_group *group, const uint8_t *pseudonyms, size_t count) {
  g1_affine point;
  for (size_t i = 0; i < count; i++) {
    if (!g1_decode(&point, pseudonyms + i * G1_LENGTH)) return false;
  }
  if (count > 0 && group->basename_length == 0) return false;
  if (count > 0) memcpy(group->revoked, pseudonyms, count * G1_LENGTH);
  group->revoked_count = count;
  return true;
}

static bool read_basename(struct ecdaa_group *group) {
  if (group->basename_length == 0) return true;
  if (!ecdaa_hash_to_g1(&group->basename_point, group->basename, group->basename_length)) return false;
  g1_encode(group->encoded_basename_point, &group->basename_point);
  return true;
}

struct ecdaa_group *ecdaa_group_make(const uint8_t *gpk, const uint8_t *basename, size_t basename_length, const uint8_t *secrets,
                                     size_t secret_count, const uint8_t *pseudonyms, size_t pseudonym_count) {
  struct ecdaa_group *group = calloc(1, sizeof *group);
  if (!group) {
    errno = ENOMEM;
    return NULL;
  }
  group->references = 1;
  pthread_mutex_init(&group->preparing, NULL);
  group->basename = copy_of(basename, basename_length);
  group->basename_length = basename_length;
  group->secrets = calloc(secret_count + 1, sizeof *group->secrets);
  group->revoked = calloc(secret_count + pseudonym_count + 1, G1_LENGTH);
  int error = group->basename && group->secrets && group->revoked ? 0 : ENOMEM;
  if (!error && !(g2_decode(&group->x, gpk) && g2_decode(&group->y, gpk + G2_LENGTH) && read_basename(group) &&
                  read_secrets(group, secrets, secret_count) && read_pseudonyms(group, pseudonyms, pseudonym_count)))
    error = EINVAL;
  if (!error) return group;
  free_group(group);
  errno = error;
  return NULL;
}

void ecdaa_group_retain(struct ecdaa_group *group) { atomic_fetch_add(&group->references, 1); }

void ecdaa_group_release(struct ecdaa_group *group) {
  if (atomic_fetch_sub(&group->references, 1) == 1) free_group(group);
}

static int compare_points(const void *a, const void *b) { return memcmp(a, b, G1_LENGTH); }

// sk·P2 of every revoked sk joins the revoked pseudonyms: the proof binds W and K to the same sk, so looking K up replaces
// comparing sk·S with W.
static bool revoke_secrets(struct ecdaa_group *group) {
  size_t count = group->secret_count;
  if (count == 0) return true;
  g1_jacobian *products = malloc(count * sizeof *products);
  g1_affine *points = malloc(count * sizeof *points);
  fp *scratch = malloc(count * sizeof *scratch);
  if (products && points && scratch) {
    for (size_t i = 0; i < count; i++) {
      struct split_digits digits;
      split_wnaf(&digits, &group->secrets[i], FIXED_WINDOW, false);
      g1_multiply_digits(&products[i], &digits, group->basename_table.odd);
    }
    g1_normalise(points, products, count, scratch);
    for (size_t i = 0; i < count; i++) g1_encode(group->revoked + (group->revoked_count + i) * G1_LENGTH, &points[i]);
    group->revoked_count += count;
  }
  bool done = products && points && scratch;
  free(products);
  free(points);
  free(scratch);
  return done;
}

static bool prepare_lines(struct ecdaa_group *group) {
  const g2_affine generator = {G2_X, G2_Y};
  if (pairing_prepare(&group->x_lines, &group->x) && pairing_prepare(&group->y_lines, &group->y) &&
      pairing_prepare(&group->generator_lines, &generator))
    return true;
  forget_lines(group);
  return false;
}

static bool prepare_basename(struct ecdaa_group *group) {
  if (group->basename_length == 0) return true;
  // Pseudonyms are appended last: a second attempt must not append them twice.
  if (!g1_make_fixed_table(&group->basename_table, &group->basename_point) || !revoke_secrets(group)) return false;
  qsort(group->revoked, group->revoked_count, G1_LENGTH, compare_points);
  return true;
}

static bool prepare(struct ecdaa_group *group) {
  if (!prepare_lines(group)) return false;
  if (prepare_basename(group)) return true;
  forget_lines(group);
  return false;
}

bool ecdaa_group_prepare(struct ecdaa_group *group) {
  pthread_mutex_lock(&group->preparing);
  if (!group->prepared) group->prepared = prepare(group);
  bool prepared = group->prepared;
  pthread_mutex_unlock(&group->preparing);
  return prepared;
}

bool ecdaa_group_has_revoked(const struct ecdaa_group *group, const uint8_t *pseudonym) {
  return bsearch(pseudonym, group->revoked, group->revoked_count, G1_LENGTH, compare_points) != NULL;
}

int ecdaa_group_has_revoked_secret(const struct ecdaa_group *group, const g1_affine *base, const g1_affine *public_point) {
  struct g1_table table, *tables[1] = {&table};
  if (group->secret_count == 0) return 0;
  if (!g1_make_tables(tables, &base, 1)) return -1;
  g1_affine opposite = *public_point;
  fp_neg(&opposite.y, &opposite.y);
  for (size_t i = 0; i < group->secret_count; i++) {
    struct split_digits digits;
    g1_jacobian difference;
    split_wnaf(&digits, &group->secrets[i], WINDOW, false);
    g1_multiply_digits(&difference, &digits, table.odd);
    g1_add_affine(&difference, &difference, &opposite);
    if (g1_is_infinity(&difference)) return 1;
  }
  return 0;
}
