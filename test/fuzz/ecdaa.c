// libFuzzer targets for everything in native/ that reads ECDAA bytes from strangers: `test/fuzz/ecdaa.sh` builds and runs them, the
// one that ECDAA_TARGET names.
// Besides crashes and sanitizer reports it aborts where the two multiplications disagree, or where accepted bytes do not come
// out again as they went in.
#include "ecdaa/ecdaa.h"
#include <stdlib.h>
#include <string.h>

// A group key, then signatures of it under the basename "BASENAME" and without: the first seeds, from test/vectors/ecdaa.json.
#include "seeds.h"

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

static const enum arithmetic ARITHMETICS[3] = {ARITHMETIC_PORTABLE, ARITHMETIC_ADX, ARITHMETIC_LANES};

static void choose_fastest(void) {
  if (!fp_choose(ARITHMETIC_LANES)) fp_choose(ARITHMETIC_ADX);
}

static void fuzz_g1(const uint8_t *bytes, size_t length) {
  if (length < G1_LENGTH) return;
  g1_affine point;
  uint8_t again[G1_LENGTH];
  bool accepted = g1_decode(&point, bytes);
  fp_choose(ARITHMETIC_PORTABLE);
  CHECK(g1_decode(&point, bytes) == accepted);
  if (!accepted) return;
  g1_encode(again, &point);
  CHECK(memcmp(again, bytes, sizeof again) == 0);
}

static void fuzz_g2(const uint8_t *bytes, size_t length) {
  if (length < G2_LENGTH) return;
  g2_affine point;
  bool accepted = g2_decode(&point, bytes);
  fp_choose(ARITHMETIC_PORTABLE);
  CHECK(g2_decode(&point, bytes) == accepted);
}

static void fuzz_scalar(const uint8_t *bytes, size_t length) {
  if (length < DRAW_LENGTH) return;
  scalar k, drawn;
  uint8_t again[SCALAR_LENGTH];
  bool accepted = scalar_decode(&k, bytes);
  scalar_encode(again, &k);
  CHECK(memcmp(again, bytes, sizeof again) == 0);
  scalar_from_draw(&drawn, bytes);
  scalar_encode(again, &drawn);
  CHECK(scalar_decode(&drawn, again));
  // k = k1 + k2·λ in short halves, whatever k is.
  struct half k1, k2;
  if (!accepted) return;
  glv_split(&k1, &k2, &k);
  CHECK(k1.limb[2] <= 1 && k2.limb[2] <= 1);
}

static void fuzz_group(const uint8_t *bytes, size_t length) {
  if (length < GROUP_KEY_LENGTH) return;
  struct ecdaa_group *group = ecdaa_group_make(bytes, bytes, length % 70, bytes + length % 7, (length - 7) / SCALAR_LENGTH % 3,
                                               bytes, length / G1_LENGTH % 3);
  if (group) ecdaa_group_release(group);
}

static void fuzz_signature(const uint8_t *bytes, size_t length) {
  static struct ecdaa_group *groups[2];
  for (size_t i = 0; i < 2; i++) {
    if (!groups[i]) groups[i] = ecdaa_group_make(GPK, (const uint8_t *)"BASENAME", i ? 8 : 0, NULL, 0, NULL, 0);
    CHECK(groups[i]);
    size_t own = i ? LINKED_SIGNATURE_LENGTH : SIGNATURE_LENGTH;
    if (length < own) continue;
    const struct ecdaa_claim claims[3] = {
        {bytes, own, bytes + own, length - own}, {bytes, length, bytes, 0}, {bytes, own, bytes + own, length - own}};
    bool accepted[3][3];
    for (int j = 0; j < 3 && fp_choose(ARITHMETICS[j]); j++) {
      CHECK(ecdaa_verify(groups[i], claims, 3, accepted[j]));
      CHECK(memcmp(accepted[j], accepted[0], sizeof accepted[0]) == 0 && accepted[j][0] == accepted[j][2]);
    }
  }
}

// What is made with secrets is the same with every arithmetic.
static void fuzz_credential(const uint8_t *bytes, size_t length) {
  uint8_t signatures[3][LINKED_SIGNATURE_LENGTH] = {{0}}, credentials[3][LINKED_SIGNATURE_LENGTH] = {{0}};
  if (length < SCALAR_LENGTH + CREDENTIAL_LENGTH + 3 * DRAW_LENGTH) return;
  const uint8_t *draws = bytes + SCALAR_LENGTH + CREDENTIAL_LENGTH;
  for (int i = 0; i < 3 && fp_choose(ARITHMETICS[i]); i++) {
    ecdaa_sign(signatures[i], bytes, bytes + SCALAR_LENGTH, bytes, length, bytes, length % 2 * 8, draws);
    ecdaa_issue(credentials[i], bytes, bytes + 2 * SCALAR_LENGTH, draws);
    CHECK(memcmp(signatures[i], signatures[0], sizeof signatures[0]) == 0);
    CHECK(memcmp(credentials[i], credentials[0], sizeof credentials[0]) == 0);
  }
}

static const struct target {
  const char *name;
  void (*fuzz)(const uint8_t *bytes, size_t length);
} TARGETS[] = {{"g1", fuzz_g1},       {"g2", fuzz_g2},               {"scalar", fuzz_scalar},
               {"group", fuzz_group}, {"signature", fuzz_signature}, {"credential", fuzz_credential}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct target *target;
  const char *name = getenv("ECDAA_TARGET");
  for (size_t i = 0; !target && name && i < sizeof TARGETS / sizeof TARGETS[0]; i++)
    if (strcmp(name, TARGETS[i].name) == 0) target = &TARGETS[i];
  CHECK(target);
  choose_fastest();
  target->fuzz(data, size);
  return 0;
}
