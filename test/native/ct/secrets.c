// Runs what computes with secrets under valgrind, with the secrets marked as uninitialised memory: memcheck then reports each
// branch and each address that depends on them. `secrets leaky` runs a multiplication that does branch, as the proof that a leak
// would be seen. Built and run by test/native/ecdaa-ct.test.ts.
#include "ecdaa.h"
#include "fp256bn_secret.h"
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

static void fill(uint8_t *bytes, size_t length, uint8_t seed) {
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(seed + 37 * i + (i >> 3));
  // Below n: its first byte is 0xff.
  for (size_t i = 0; i < length; i += SCALAR_LENGTH) bytes[i] &= 0x7f;
}

static void secret(void *bytes, size_t length) { VALGRIND_MAKE_MEM_UNDEFINED(bytes, length); }

static bool check(bool done, const char *what) {
  VALGRIND_MAKE_MEM_DEFINED(&done, sizeof done);
  if (!done) fprintf(stderr, "secrets: %s failed\n", what);
  return done;
}

// Double and add: what must be found.
static void leaky_multiply(g1_jacobian *r, const g1_affine *p, const scalar *k) {
  g1_infinity(r);
  for (int i = 255; i >= 0; i--) {
    g1_double(r, r);
    if (k->limb[i / 64] >> (i % 64) & 1) g1_add_affine(r, r, p);
  }
}

static int leaky(void) {
  uint8_t bytes[SCALAR_LENGTH];
  scalar k;
  g1_affine generator;
  g1_jacobian product;
  fill(bytes, sizeof bytes, 1);
  scalar_decode(&k, bytes);
  secret(&k, sizeof k);
  g1_generator(&generator);
  leaky_multiply(&product, &generator, &k);
  VALGRIND_MAKE_MEM_DEFINED(&product, sizeof product);
  return g1_is_infinity(&product);
}

static bool everything(const char *arithmetic) {
  static const uint8_t message[] = "a message", basename[] = "a basename";
  uint8_t issuer[2 * SCALAR_LENGTH], sk[SCALAR_LENGTH], draws[3 * DRAW_LENGTH], point[G1_LENGTH];
  uint8_t credential[CREDENTIAL_LENGTH + CREDENTIAL_SIGNATURE_LENGTH], signature[LINKED_SIGNATURE_LENGTH];
  fill(issuer, sizeof issuer, 3);
  fill(sk, sizeof sk, 5);
  fill(draws, sizeof draws, 7);
  secret(issuer, sizeof issuer);
  secret(sk, sizeof sk);
  secret(draws, sizeof draws);
  // What comes out is for everybody.
  bool done = check(ecdaa_public_point(point, sk), "ecdaa_public_point");
  VALGRIND_MAKE_MEM_DEFINED(point, sizeof point);
  done = done && check(ecdaa_issue(credential, issuer, point, draws), "ecdaa_issue");
  VALGRIND_MAKE_MEM_DEFINED(credential, sizeof credential);
  for (size_t length = 0; length <= sizeof basename; length += sizeof basename) {
    done = done && check(ecdaa_sign(signature, sk, credential, message, sizeof message, basename, length, draws), "ecdaa_sign");
  }
  printf("%s: %s\n", arithmetic, done ? "done" : "failed");
  return done;
}

int main(int count, char **arguments) {
  fp_choose(ARITHMETIC_PORTABLE);
  if (count > 1 && strcmp(arguments[1], "leaky") == 0) return leaky();
  bool done = everything("portable");
  // valgrind hides some of the processor's features, but knows the instructions.
  fp_has_adx = count > 1 && strcmp(arguments[1], "adx") == 0;
  if (fp_has_adx) done = everything("adx") && done;
  return done ? 0 : 1;
}
