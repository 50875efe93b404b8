// Fast ECDAA on FP256BN: a fabric verifies, a factory issues, a load generator signs (ecdaa.md). The
// same bytes as protocol/crypto, which stays the reference.
#pragma once
#include "fp256bn/g1.h"
#include "fp256bn/pairing.h"

#define GROUP_KEY_LENGTH (2 * G2_LENGTH)
#define SIGNATURE_LENGTH 356
#define LINKED_SIGNATURE_LENGTH (SIGNATURE_LENGTH + G1_LENGTH)
#define CREDENTIAL_LENGTH (4 * G1_LENGTH)
#define CREDENTIAL_SIGNATURE_LENGTH (2 * SCALAR_LENGTH)
// What is verified at once. More would gain little and keep the first one waiting.
#define MAX_BATCH 64

// The first x = SHA-256(LE32(i) ‖ basename) mod n, i = 0 … 231, that is on the curve, with its even y (§4). False if none is.
bool ecdaa_hash_to_g1(g1_affine *r, const uint8_t *basename, size_t length);

// What a Schnorr proof is about (§5): points as they go into the hash. Without a basename, the pointers after public_point
// up to basename are NULL.
struct ecdaa_statement {
  const uint8_t *commitment;    // E
  const uint8_t *base;          // BASE
  const uint8_t *public_point;  // PUB
  const uint8_t *linked_commitment;  // L
  const uint8_t *basename_point;     // P2
  const uint8_t *pseudonym;          // K
  const uint8_t *basename;
  size_t basename_length;
  const uint8_t *message;
  size_t message_length;
};
// c = Hash(nonce ‖ Hash(statement)), each digest reduced mod n. Constant time for messages of the same length.
void ecdaa_challenge(scalar *c, const uint8_t *nonce, const struct ecdaa_statement *statement);
// Hash of `count` encoded points, mod n.
void ecdaa_hash_points(scalar *c, const uint8_t *points, size_t count);

// A group with everything that its verifications share. Reference-counted.
struct ecdaa_group;
// `gpk` is 258 bytes; a basename of length 0 is none; `secrets` are `secret_count` times 32 bytes, `pseudonyms` 65 each. NULL
// with errno ENOMEM, or EINVAL if the key, a revoked secret or a revoked pseudonym is none, or pseudonyms come without basename.
struct ecdaa_group *ecdaa_group_make(const uint8_t *gpk, const uint8_t *basename, size_t basename_length, const uint8_t *secrets,
                                     size_t secret_count, const uint8_t *pseudonyms, size_t pseudonym_count);
void ecdaa_group_retain(struct ecdaa_group *group);
void ecdaa_group_release(struct ecdaa_group *group);

struct ecdaa_claim {
  const uint8_t *signature;
  size_t signature_length;
  const uint8_t *message;
  size_t message_length;
};
// Up to MAX_BATCH signatures at once (§7); accepted[i] tells whether a current member made the i-th. The group may be used by
// several threads. False, and nothing accepted, if memory or randomness is not to be had.
bool ecdaa_verify(struct ecdaa_group *group, const struct ecdaa_claim *claims, size_t count, bool *accepted);

// Secrets from here on: constant time, and wiped. All false if an input is not valid, or a draw gave zero.

// Q = sk·G1, 65 bytes.
bool ecdaa_public_point(uint8_t *point, const uint8_t *secret);
// s = k + c·sk: the answer to a challenge of whoever committed to k (§5), each 32 bytes; the challenge is public.
bool ecdaa_respond(uint8_t *response, const uint8_t *secret, const uint8_t *committed, const uint8_t *challenge);
// The credential A ‖ B ‖ C ‖ D and its signature c ‖ s (§6), 324 bytes, from the issuer's 64 bytes, the member's point and two
// draws of 65 random bytes: l, r.
bool ecdaa_issue(uint8_t *credential, const uint8_t *issuer, const uint8_t *member_point, const uint8_t *draws);
// A signature of 421 bytes, or 356 without basename (§7), from three draws: l, k, n_s. False also if the credential is not
// this secret's.
bool ecdaa_sign(uint8_t *signature, const uint8_t *secret, const uint8_t *credential, const uint8_t *message,
                size_t message_length, const uint8_t *basename, size_t basename_length, const uint8_t *draws);
