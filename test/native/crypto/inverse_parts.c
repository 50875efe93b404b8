// The inverse of nonces against OpenSSL's. With the word "secret" the nonces are uninitialised memory to valgrind's memcheck, which then reports each branch
// and each address that depends on them; "leaky" does branch, as the proof that a leak would be seen.
#include "crypto/inverse.h"
#include "../check.h"
#include <openssl/bn.h>
#include <stdbool.h>
#include <string.h>
#include <valgrind/memcheck.h>

enum { LENGTH = 32, RANDOM = 2000 };

static BIGNUM *order(void) {
  BIGNUM *n = NULL;
  CHECK(BN_hex2bn(&n, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") == 64);
  return n;
}

static void check_inverse(const BIGNUM *n, const BIGNUM *k, bool is_secret, bool is_leaky) {
  static volatile int branched;
  uint8_t bytes[LENGTH], inverse[LENGTH], expected[LENGTH];
  BN_CTX *context = BN_CTX_new();
  BIGNUM *found = BN_mod_inverse(NULL, k, n, context);
  CHECK(BN_bn2binpad(k, bytes, LENGTH) == LENGTH && BN_bn2binpad(found, expected, LENGTH) == LENGTH);
  if (is_secret) VALGRIND_MAKE_MEM_UNDEFINED(bytes, sizeof bytes);
  if (is_leaky && bytes[LENGTH - 1] & 1) branched++;
  bool done = inverse_of_nonce(bytes, inverse);
  VALGRIND_MAKE_MEM_DEFINED(&done, sizeof done);
  VALGRIND_MAKE_MEM_DEFINED(inverse, sizeof inverse);
  CHECK(done && memcmp(inverse, expected, LENGTH) == 0);
  BN_free(found);
  BN_CTX_free(context);
}

int main(int count, char **words) {
  bool is_leaky = count > 1 && strcmp(words[1], "leaky") == 0, is_secret = count > 1;
  BIGNUM *n = order(), *k = BN_new();
  for (unsigned small = 1; small < 20; small++) {
    CHECK(BN_set_word(k, small) == 1);
    check_inverse(n, k, is_secret, is_leaky);
    CHECK(BN_sub(k, n, k) == 1);
    check_inverse(n, k, is_secret, is_leaky);
  }
  for (int bit = 0; bit < 256; bit++) {
    CHECK(BN_one(k) == 1 && BN_lshift(k, k, bit) == 1);
    check_inverse(n, k, is_secret, is_leaky);
    if (bit > 0 && BN_sub_word(k, 1) == 1) check_inverse(n, k, is_secret, is_leaky);
  }
  for (int i = 0; i < (is_secret ? 20 : RANDOM); i++) {
    CHECK(BN_rand_range(k, n) == 1);
    if (!BN_is_zero(k)) check_inverse(n, k, is_secret, is_leaky);
  }
  BN_free(k);
  BN_free(n);
  puts("done");
}
