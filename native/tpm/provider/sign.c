// ECDSA for OpenSSL: the digest is computed here, the signature in the TPM. Verifying is left to the default provider.
#include "provider.h"
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#define ORDER_BYTES 32

struct signing {
  struct tls_key *key;
  EVP_MD_CTX *digest;
};

static void *new_context(void *provider, const char *properties) {
  (void)provider;
  (void)properties;
  return OPENSSL_zalloc(sizeof(struct signing));
}

static void free_context(void *data) {
  struct signing *signing = data;
  if (!signing) return;
  EVP_MD_CTX_free(signing->digest);
  tls_key_release(signing->key);
  OPENSSL_free(signing);
}

static void *dup_context(void *data) {
  const struct signing *from = data;
  struct signing *to = new_context(NULL, NULL);
  if (!to) return NULL;
  if (from->key) to->key = tls_key_retain(from->key);
  if (!from->digest) return to;
  to->digest = EVP_MD_CTX_new();
  if (to->digest && EVP_MD_CTX_copy_ex(to->digest, from->digest)) return to;
  free_context(to);
  return NULL;
}

// ECDSA on P-256 takes the first 32 bytes of any longer digest; a shorter one would need padding and is not in use.
static bool start_digest(struct signing *signing, const char *name) {
  EVP_MD *algorithm = EVP_MD_fetch(NULL, name && *name ? name : "SHA2-256", NULL);
  bool ok = algorithm && EVP_MD_get_size(algorithm) >= ORDER_BYTES;
  if (ok && !signing->digest) signing->digest = EVP_MD_CTX_new();
  ok = ok && signing->digest && EVP_DigestInit_ex2(signing->digest, algorithm, NULL);
  EVP_MD_free(algorithm);
  return ok;
}

static int digest_sign_init(void *data, const char *digest, void *object, const OSSL_PARAM parameters[]) {
  struct signing *signing = data;
  const struct provider_key *key = object;
  (void)parameters;
  if (key && !key->tls) return 0;
  if (key) {
    tls_key_release(signing->key);
    signing->key = tls_key_retain(key->tls);
  }
  return signing->key && start_digest(signing, digest);
}

static int digest_sign_update(void *data, const unsigned char *bytes, size_t length) {
  struct signing *signing = data;
  return signing->digest && EVP_DigestUpdate(signing->digest, bytes, length);
}

// DER of (r, s); 0 if it does not fit.
static int encode(const uint8_t *r, const uint8_t *s, unsigned char *to, size_t capacity, size_t *length) {
  ECDSA_SIG *signature = ECDSA_SIG_new();
  BIGNUM *first = BN_bin2bn(r, ORDER_BYTES, NULL), *second = BN_bin2bn(s, ORDER_BYTES, NULL);
  if (!signature || !first || !second || !ECDSA_SIG_set0(signature, first, second)) {
    BN_free(first);
    BN_free(second);
    ECDSA_SIG_free(signature);
    return 0;
  }
  int size = i2d_ECDSA_SIG(signature, NULL);
  bool fits = size > 0 && (size_t)size <= capacity;
  if (fits) *length = (size_t)i2d_ECDSA_SIG(signature, &to);
  ECDSA_SIG_free(signature);
  return fits;
}

static int digest_sign_final(void *data, unsigned char *to, size_t *length, size_t capacity) {
  struct signing *signing = data;
  uint8_t digest[EVP_MAX_MD_SIZE], r[ORDER_BYTES], s[ORDER_BYTES];
  unsigned size = 0;
  *length = PROVIDER_SIGNATURE_BYTES;
  if (!to) return 1;
  if (!signing->key || !signing->digest || !EVP_DigestFinal_ex(signing->digest, digest, &size)) return 0;
  TSS2_RC rc = tls_key_sign(signing->key, digest, r, s);
  if (!rc) return encode(r, s, to, capacity, length);
  ERR_new();
  ERR_set_debug(OPENSSL_FILE, OPENSSL_LINE, OPENSSL_FUNC);
  ERR_set_error(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "the TPM did not sign: rc 0x%08x", rc);
  return 0;
}

static const OSSL_PARAM *no_params(void *context, void *provider) {
  static const OSSL_PARAM none[] = {OSSL_PARAM_END};
  (void)context;
  (void)provider;
  return none;
}

static int set_params(void *context, const OSSL_PARAM parameters[]) {
  (void)context;
  (void)parameters;
  return 1;
}

static int get_params(void *context, OSSL_PARAM parameters[]) {
  (void)context;
  (void)parameters;
  return 1;
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))new_context},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))free_context},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))dup_context},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_sign_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))no_params},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))no_params},
    {0, NULL},
};

const OSSL_ALGORITHM provider_signature[] = {{"ECDSA", "provider=" PROVIDER_NAME, functions, NULL},
                                             {NULL, NULL, NULL, NULL}};
