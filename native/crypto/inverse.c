#include "inverse.h"
#include <openssl/crypto.h>

#if defined(__SIZEOF_INT128__)
#include "numbers/divsteps.h"

static const uint64_t ORDER[4] = {0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000};
// ORDER⁻¹ mod 2^64
static const uint64_t ORDER_INVERSE = 0x332e375511ff43b1;

// Ten rounds of 59 steps: 590 are enough for 256 bits if delta begins with 1/2 (the guide's appendix).
enum { ROUNDS = 10, STEPS = 59 };

// 59 steps from the lowest 64 bits of f (odd) and g; zeta is −(delta + 1/2). The matrix is scaled as one of 62 steps. volatile: so that the compiler makes no
// branches of the masks.
static int64_t take_steps_blindly(struct steps *t, int64_t zeta, uint64_t f, uint64_t g) {
  uint64_t u = 1 << (62 - STEPS), v = 0, q = 0, r = u;
  for (int i = 0; i < STEPS; i++) {
    volatile uint64_t is_negative = (uint64_t)(zeta >> 63), is_odd = -(g & 1);
    uint64_t negative = is_negative, odd = is_odd;
    // g += ±f where g is odd
    g += ((f ^ negative) - negative) & odd;
    q += ((u ^ negative) - negative) & odd;
    r += ((v ^ negative) - negative) & odd;
    // f takes the former g where it was odd and delta positive
    negative &= odd;
    zeta = (zeta ^ (int64_t)negative) - 1;
    f += g & negative;
    u += q & negative;
    v += r & negative;
    g >>= 1;
    u <<= 1;
    v <<= 1;
  }
  *t = (struct steps){(int64_t)u, (int64_t)v, (int64_t)q, (int64_t)r};
  return zeta;
}

bool inverse_of_nonce(const uint8_t k[32], uint8_t inverse[32]) {
  const struct modulus n = {split_62(ORDER), ORDER_INVERSE};
  uint64_t limb[4] = {0};
  for (int i = 0; i < 32; i++) limb[3 - i / 8] = limb[3 - i / 8] << 8 | k[i];
  struct {
    struct signed62 d, e, f, g;
    struct steps t;
  } at = {.e = {{1}}, .f = n.value, .g = split_62(limb)};
  int64_t zeta = -1;
  for (int round = 0; round < ROUNDS; round++) {
    zeta = take_steps_blindly(&at.t, zeta, (uint64_t)at.f.digit[0] | (uint64_t)at.f.digit[1] << 62,
                              (uint64_t)at.g.digit[0] | (uint64_t)at.g.digit[1] << 62);
    apply_steps_mod(&at.d, &at.e, &at.t, &n);
    apply_steps(&at.f, &at.g, &at.t);
  }
  settle_inverse(&at.d, &at.f, &n);
  join_62(limb, &at.d);
  for (int i = 0; i < 32; i++) inverse[i] = (uint8_t)(limb[3 - i / 8] >> (56 - 8 * (i % 8)));
  OPENSSL_cleanse(&at, sizeof at);
  OPENSSL_cleanse(limb, sizeof limb);
  return true;
}

#else
#include <openssl/bn.h>

static const uint8_t ORDER[32] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

// OpenSSL's takes the path without branches for a number with the flag.
bool inverse_of_nonce(const uint8_t k[32], uint8_t inverse[32]) {
  BN_CTX *context = BN_CTX_secure_new();
  BIGNUM *number = BN_bin2bn(k, 32, NULL), *order = BN_bin2bn(ORDER, sizeof ORDER, NULL), *found = NULL;
  if (context != NULL && number != NULL && order != NULL) {
    BN_set_flags(number, BN_FLG_CONSTTIME);
    found = BN_mod_inverse(NULL, number, order, context);
  }
  bool done = found != NULL && BN_bn2binpad(found, inverse, 32) == 32;
  BN_clear_free(found);
  BN_clear_free(number);
  BN_free(order);
  BN_CTX_free(context);
  return done;
}
#endif
