// Exchanges in eight lanes against OpenSSL's. With the word "secret" the secrets are uninitialised memory to valgrind's memcheck, which then reports each
// branch and each address that depends on them; "leaky" does branch, as the proof that a leak would be seen. EMULATED: the instructions are plain C.
#include "crypto/x25519_lanes.h"
#include "../check.h"
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>
#include <valgrind/memcheck.h>

enum { LENGTH = X25519_LENGTH, RANDOM = 200 };

static void openssl_exchange(const uint8_t secret[LENGTH], const uint8_t share[LENGTH], uint8_t shared[LENGTH]) {
  size_t length = LENGTH;
  EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, LENGTH);
  EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, LENGTH);
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
  CHECK(EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, peer) == 1);
  if (EVP_PKEY_derive(context, shared, &length) != 1) memset(shared, 0, LENGTH);
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(peer);
  EVP_PKEY_free(own);
}

static void check_exchange(const uint8_t secret[LENGTH], const uint8_t shares[][LENGTH], size_t count, bool is_secret, bool is_leaky) {
  static volatile int branched;
  uint8_t own[LENGTH], shared[X25519_LANES][LENGTH], expected[LENGTH];
  memcpy(own, secret, LENGTH);
  memset(shared, 0xa5, sizeof shared);
  if (is_secret) VALGRIND_MAKE_MEM_UNDEFINED(own, sizeof own);
  if (is_leaky && own[1] & 1) branched++;
  x25519_lanes_exchange(own, shares, count, shared);
  VALGRIND_MAKE_MEM_DEFINED(shared, sizeof shared);
  for (size_t i = 0; i < count; i++) {
    openssl_exchange(secret, shares[i], expected);
    CHECK(memcmp(shared[i], expected, LENGTH) == 0);
  }
  for (size_t i = count; i < X25519_LANES; i++) CHECK(shared[i][0] == 0xa5 && shared[i][LENGTH - 1] == 0xa5);
}

// Shares of small order, numbers that are not reduced, the base point; each also with the bit that does not count.
static const char *const SPECIAL[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "0900000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
};

static void special_share(int number, uint8_t share[LENGTH]) {
  for (int i = 0; i < LENGTH; i++) {
    unsigned byte;
    CHECK(sscanf(SPECIAL[number % X25519_LANES] + 2 * i, "%2x", &byte) == 1);
    share[i] = (uint8_t)byte;
  }
  if (number >= X25519_LANES) share[LENGTH - 1] |= 0x80;
}

// RFC 7748 §5.2: the first step of its iteration, where the secret is the share.
static void check_vector(void) {
  static const uint8_t expected[] = {0x42, 0x2c, 0x8e, 0x7a, 0x62, 0x27, 0xd7, 0xbc, 0xa1, 0x35, 0x0b, 0x3e, 0x2b, 0xb7, 0x27, 0x9f,
                                     0x78, 0x97, 0xb8, 0x7b, 0xb6, 0x85, 0x4b, 0x78, 0x3c, 0x60, 0xe8, 0x03, 0x11, 0xae, 0x30, 0x79};
  const uint8_t share[][LENGTH] = {{9}};
  uint8_t shared[1][LENGTH];
  x25519_lanes_exchange(share[0], share, 1, shared);
  CHECK(memcmp(shared[0], expected, LENGTH) == 0);
}

int main(int count, char **words) {
  bool is_leaky = count > 1 && strcmp(words[1], "leaky") == 0, is_secret = count > 1;
#ifndef EMULATED
  if (!x25519_has_lanes()) {
    puts("no lanes");
    return 0;
  }
#endif
  uint8_t secret[LENGTH], shares[X25519_LANES][LENGTH];
  check_vector();
  for (int half = 0; half < 2; half++) {
    for (int i = 0; i < X25519_LANES; i++) special_share(half * X25519_LANES + i, shares[i]);
    memset(secret, 0, sizeof secret);
    check_exchange(secret, shares, X25519_LANES, is_secret, is_leaky);
    memset(secret, 0xff, sizeof secret);
    check_exchange(secret, shares, X25519_LANES, is_secret, is_leaky);
  }
  for (int i = 0; i < (is_secret ? 4 : RANDOM); i++) {
    CHECK(RAND_bytes(secret, sizeof secret) == 1 && RAND_bytes(shares[0], sizeof shares) == 1);
    check_exchange(secret, shares, 1 + (size_t)i % X25519_LANES, is_secret, is_leaky);
  }
  puts("done");
}
