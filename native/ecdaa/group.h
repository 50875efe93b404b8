// A group as verification sees it; private to this folder.
#pragma once
#include "ecdaa.h"
#include <pthread.h>
#include <stdatomic.h>

struct ecdaa_group {
  atomic_uint references;
  g2_affine x, y;

  // Without a basename, length 0 and no table.
  uint8_t *basename;
  size_t basename_length;
  g1_affine basename_point;
  uint8_t encoded_basename_point[G1_LENGTH];

  // As given; with a basename their pseudonyms are in `revoked`.
  scalar *secrets;
  size_t secret_count;
  // K of every revoked member, G1_LENGTH each, sorted once prepared.
  uint8_t *revoked;
  size_t revoked_count;

  // What the first verification makes, on the thread that it runs on.
  pthread_mutex_t preparing;
  bool prepared;
  struct pairing_lines x_lines, y_lines, generator_lines;
  struct g1_fixed_table basename_table;
};

// Computes what all verifications share, some 2 ms and 15 µs for each revoked secret, once. False if out of memory.
bool ecdaa_group_prepare(struct ecdaa_group *group);
// Is this pseudonym (65 bytes) revoked? The group must be prepared.
bool ecdaa_group_has_revoked(const struct ecdaa_group *group, const uint8_t *pseudonym);
// Whether sk·base = public_point for a revoked sk: for groups without basename, one multiplication for each. -1 if out of memory.
int ecdaa_group_has_revoked_secret(const struct ecdaa_group *group, const g1_affine *base, const g1_affine *public_point);
