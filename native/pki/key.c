#include "key.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <string.h>

enum { LEAST_RSA = 2048, MOST_RSA = 4096, MOST_EXPONENT = 32 };

static bool is_sound_rsa(const EVP_PKEY *key) {
  BIGNUM *exponent = NULL;
  int bits = EVP_PKEY_get_bits(key);
  bool ok = bits >= LEAST_RSA && bits <= MOST_RSA && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
            BN_num_bits(exponent) <= MOST_EXPONENT;
  BN_free(exponent);
  return ok;
}

static bool is_sound_curve(const EVP_PKEY *key) {
  char group[32];
  return EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 && (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

bool pki_sound_key(const EVP_PKEY *key) {
  switch (key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC: return is_sound_curve(key);
    case EVP_PKEY_RSA: return is_sound_rsa(key);
    case EVP_PKEY_ED25519: return true;
    default: return false;
  }
}
