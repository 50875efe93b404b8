// Runs what computes with secrets under valgrind, with the secrets marked as uninitialised memory: memcheck then reports each
// branch and each address that depends on them. `secrets leaky` runs a multiplication that does branch, as the proof that a leak
// would be seen. Built and run by test/native/ecdaa/constant-time.test.ts.
#include "ecdaa/ecdaa.h"
#include "fp256bn/secret.h"
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

// What was made with each arithmetic: the same, as they get the same draws.
struct made {
  uint8_t credential[CREDENTIAL_LENGTH + CREDENTIAL_SIGNATURE_LENGTH], signature[2][LINKED_SIGNATURE_LENGTH];
  uint8_t response[SCALAR_LENGTH];
};

static bool everything(struct made *made, const char *arithmetic) {
  static const uint8_t message[] = "a message", basename[] = "a basename";
  uint8_t issuer[2 * SCALAR_LENGTH], sk[SCALAR_LENGTH], draws[3 * DRAW_LENGTH], point[G1_LENGTH];
  memset(made, 0, sizeof *made);
  fill(issuer, sizeof issuer, 3);
  fill(sk, sizeof sk, 5);
  fill(draws, sizeof draws, 7);
  secret(issuer, sizeof issuer);
  secret(sk, sizeof sk);
  secret(draws, sizeof draws);
  // What comes out is for everybody.
  bool done = check(ecdaa_public_point(point, sk), "ecdaa_public_point");
  VALGRIND_MAKE_MEM_DEFINED(point, sizeof point);
  done = done && check(ecdaa_issue(made->credential, issuer, point, draws), "ecdaa_issue");
  VALGRIND_MAKE_MEM_DEFINED(made->credential, sizeof made->credential);
  for (int linked = 0; linked < 2; linked++) {
    done = done && check(ecdaa_sign(made->signature[linked], sk, made->credential, message, sizeof message, basename,
                                    linked ? sizeof basename : 0, draws), "ecdaa_sign");
  }
  VALGRIND_MAKE_MEM_DEFINED(made->signature, sizeof made->signature);
  uint8_t challenge[SCALAR_LENGTH];
  fill(challenge, sizeof challenge, 9);
  done = done && check(ecdaa_respond(made->response, sk, issuer, challenge), "ecdaa_respond");
  VALGRIND_MAKE_MEM_DEFINED(made->response, sizeof made->response);
  printf("%s: %s\n", arithmetic, done ? "done" : "failed");
  return done;
}

// `secrets ARITHMETIC…`, or `secrets leaky`. valgrind hides some of the processor's features, but knows mulx, adcx and adox;
// the lanes are those of lanes/immintrin.h.
int main(int count, char **arguments) {
  struct made portable, other;
  fp_choose(ARITHMETIC_PORTABLE);
  if (count > 1 && strcmp(arguments[1], "leaky") == 0) return leaky();
  bool done = everything(&portable, "portable");
  for (int i = 1; i < count; i++) {
    fp_has_lanes = strcmp(arguments[i], "lanes") == 0;
    fp_has_adx = strcmp(arguments[i], "adx") == 0;
    done = everything(&other, arguments[i]) && memcmp(&portable, &other, sizeof other) == 0 && done;
  }
  return done ? 0 : 1;
}
