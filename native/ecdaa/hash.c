// Everything that is hashed: challenges, and basenames to points (ecdaa.md §2, §4, §5).
#include "ecdaa.h"
#include <openssl/sha.h>

void ecdaa_challenge(scalar *c, const uint8_t *nonce, const struct ecdaa_statement *statement) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX hash;
  SHA256_Init(&hash);
  SHA256_Update(&hash, statement->commitment, G1_LENGTH);
  SHA256_Update(&hash, statement->base, G1_LENGTH);
  SHA256_Update(&hash, statement->public_point, G1_LENGTH);
  if (statement->basename_length > 0) {
    SHA256_Update(&hash, statement->linked_commitment, G1_LENGTH);
    SHA256_Update(&hash, statement->basename_point, G1_LENGTH);
    SHA256_Update(&hash, statement->pseudonym, G1_LENGTH);
    SHA256_Update(&hash, statement->basename, statement->basename_length);
  }
  SHA256_Update(&hash, statement->message, statement->message_length);
  SHA256_Final(digest, &hash);
  scalar_from_digest(c, digest);
  scalar_encode(digest, c);
  SHA256_Init(&hash);
  SHA256_Update(&hash, nonce, SCALAR_LENGTH);
  SHA256_Update(&hash, digest, sizeof digest);
  SHA256_Final(digest, &hash);
  scalar_from_digest(c, digest);
}

void ecdaa_hash_points(scalar *c, const uint8_t *points, size_t count) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX hash;
  SHA256_Init(&hash);
  SHA256_Update(&hash, points, count * G1_LENGTH);
  SHA256_Final(digest, &hash);
  scalar_from_digest(c, digest);
}

// The even root of x³ + 3 if that is a square; it is never zero.
static bool even_root(fp *y, const fp *x) {
  uint8_t bytes[32];
  fp square;
  fp_sqr(&square, x);
  fp_mul(&square, &square, x);
  fp_add(&square, &square, &FP_THREE);
  fp_power(y, &square, P_PLUS_1_OVER_4);
  if (!g1_on_curve(x, y)) return false;
  fp_encode(bytes, y);
  if (bytes[31] & 1) fp_neg(y, y);
  return true;
}

bool ecdaa_hash_to_g1(g1_affine *r, const uint8_t *basename, size_t length) {
  for (uint8_t counter = 0; counter < 232; counter++) {
    const uint8_t little_endian[4] = {counter, 0, 0, 0};
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX hash;
    scalar x;
    SHA256_Init(&hash);
    SHA256_Update(&hash, little_endian, sizeof little_endian);
    SHA256_Update(&hash, basename, length);
    SHA256_Final(digest, &hash);
    scalar_from_digest(&x, digest);
    scalar_encode(digest, &x);
    // Below n, so below p.
    if (fp_decode(&r->x, digest) && even_root(&r->y, &r->x)) return true;
  }
  return false;
}
