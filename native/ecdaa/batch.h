// One run of verification over up to MAX_BATCH signatures; private to this folder.
#pragma once
#include "group.h"

// A signature on its way: decoded, then with tables, then proved.
struct ecdaa_item {
  const struct ecdaa_claim *claim;
  size_t index;
  scalar c, s;
  g1_affine R, S, T, W, K;
  struct g1_table R_table, S_table, T_table, W_table, K_table;
  // s·S − c·W and s·P2 − c·K.
  g1_jacobian E, L;
  // The random weight of this signature in the pairing check of the batch: weight[0] + weight[1]·λ.
  uint64_t weight[2];
  struct split_digits weight_digits;
};

// Decodes a signature of the form that this group's have (§2, §7): points on the curve, c and s below n. False otherwise.
bool ecdaa_read(struct ecdaa_item *item, const struct ecdaa_group *group, const struct ecdaa_claim *claim, size_t index);
// Keeps those of `items` whose Schnorr proof holds (§5) and that are not revoked, and returns how many; -1 if out of memory.
// Leaves the tables behind that weighted sums take, that of T if `with_all`; with lanes there are none.
int ecdaa_keep_proved(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group, bool with_all);
// Marks those of `items` whose credential is of this group: e(R, Y) = e(S, G2) and e(T, G2) = e(R + W, X). False if no
// randomness is to be had.
bool ecdaa_accept_certified(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group, bool *accepted);

// Where the processor has lanes (lanes.c); each false if out of memory.
// E and L of all items.
bool ecdaa_lanes_multiply(struct ecdaa_item **items, size_t count, const struct ecdaa_group *group);
// The sums of R, S, T and W, each times its item's weight.
bool ecdaa_lanes_weighted_sums(g1_jacobian sums[4], struct ecdaa_item **items, size_t count);
// Both points times a weight; false also if one of them is infinity.
bool ecdaa_lanes_multiply_two(g1_jacobian products[2], const g1_jacobian points[2], const uint64_t weight[2]);
