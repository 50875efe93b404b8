// ECDSA P-256 from raw bytes, over the node binary's OpenSSL: node:crypto imports a key object for each raw key first, which costs as much as the
// computation, and has no deterministic ECDSA.
#include "p256.h"
#include "calls.h"
#include "inverse.h"
#include "napi.h"
#include "addon/handle.h"
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SCALAR = P256_SCALAR, POINT = P256_POINT, SIGNATURE = P256_SIGNATURE };

static napi_value new_bool(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

// P-256, made once: OpenSSL makes a curve that it is asked for by name anew, an eighth of what a verification takes.
static EC_GROUP *p256;

static void make_p256(void) { p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1); }

static EC_KEY *new_p256_key(void) {
  EC_KEY *key = EC_KEY_new();
  if (key != NULL && p256 != NULL && EC_KEY_set_group(key, p256) == 1) return key;
  EC_KEY_free(key);
  return NULL;
}

// OpenSSL's call for this looks the algorithm up by its name each time.
static void sha256(const uint8_t *message, size_t length, uint8_t digest[SHA256_DIGEST_LENGTH]) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, message, length);
  SHA256_Final(digest, &context);
}

// What the last verification has done with: a key has a copy of the curve, which costs as much as a tenth of a verification.
static _Atomic(EC_KEY *) spare;

static void put_aside(EC_KEY *key) { EC_KEY_free(atomic_exchange(&spare, key)); }

bool p256_verifies(const uint8_t point[POINT], const uint8_t *message, size_t length, const uint8_t signature[SIGNATURE]) {
  // The only encoding the protocol knows; OpenSSL would take hybrid ones, too.
  if (point[0] != 0x04) return false;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  sha256(message, length, digest);
  bool good = false;
  EC_KEY *key = atomic_exchange(&spare, NULL);
  if (key == NULL) key = new_p256_key();
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(signature, SCALAR, NULL), *s = BN_bin2bn(signature + SCALAR, SCALAR, NULL);
  if (key != NULL && pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
    r = s = NULL;  // the pair owns them now
    // Checks that the point is on the curve and its coordinates are reduced; the cofactor is 1. r and s are checked by verify.
    good = EC_KEY_oct2key(key, point, POINT, NULL) == 1 && ECDSA_do_verify(digest, sizeof digest, pair, key) == 1;
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  put_aside(key);
  ERR_clear_error();
  return good;
}

static napi_value p256_verify(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, point_length, length, signature_length;
  uint8_t *point, *message, *signature;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_bytes(env, arguments[0], &point, &point_length) || !addon_bytes(env, arguments[1], &message, &length) ||
      !addon_bytes(env, arguments[2], &signature, &signature_length))
    return addon_bad(env, "p256Verify(publicKey, message, signature): all are Uint8Arrays");
  return new_bool(env, point_length == POINT && signature_length == SIGNATURE && p256_verifies(point, message, length, signature));
}

static const napi_type_tag SIGNER = {0x5d0c3e9a71f24b86, 0x93a61e7fd4085bc2};

// A server signs its greeting again when the client's claim comes (protocol/xtt/cookie.ts), mostly before it has greeted so many others.
enum { REMEMBERED = 4096 };
struct signed_digest {
  uint8_t digest[SHA256_DIGEST_LENGTH], signature[SIGNATURE];
};

struct p256_signer {
  EC_KEY *key;
  BN_CTX *context;
  // Each digest has its place; what was there before makes room. One of all zeros has none: no message has it.
  struct signed_digest *remembered;
  uint8_t secret[SCALAR];
};

void p256_signer_free(void *data) {
  struct p256_signer *signer = data;
  if (signer == NULL) return;
  EC_KEY_free(signer->key);
  BN_CTX_free(signer->context);
  free(signer->remembered);
  OPENSSL_cleanse(signer, sizeof *signer);
  free(signer);
}

struct p256_signer *p256_signer_new(const uint8_t secret[SCALAR]) {
  struct p256_signer *signer = calloc(1, sizeof *signer);
  if (signer == NULL) return NULL;
  memcpy(signer->secret, secret, SCALAR);
  signer->context = BN_CTX_secure_new();
  signer->key = new_p256_key();
  signer->remembered = calloc(REMEMBERED, sizeof *signer->remembered);
  // Refuses zero and what is not below the order.
  if (signer->context != NULL && signer->key != NULL && signer->remembered != NULL && EC_KEY_oct2priv(signer->key, secret, SCALAR) == 1 &&
      !BN_is_zero(EC_KEY_get0_private_key(signer->key)) &&
      BN_cmp(EC_KEY_get0_private_key(signer->key), EC_GROUP_get0_order(EC_KEY_get0_group(signer->key))) < 0)
    return signer;
  p256_signer_free(signer);
  ERR_clear_error();
  return NULL;
}

static napi_value p256_signer(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  uint8_t *secret;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct p256_signer *signer = exactly(env, argument, &secret, SCALAR) ? p256_signer_new(secret) : NULL;
  if (signer == NULL) return addon_bad(env, "p256Signer(secret): secret is a scalar in 1..n-1, 32 bytes");
  return handle_new(env, &SIGNER, signer, p256_signer_free);
}

// The state of RFC 6979 §3.2 for P-256 and SHA-256, where a hash is as long as a scalar.
struct drawing {
  uint8_t k[SHA256_DIGEST_LENGTH], v[SHA256_DIGEST_LENGTH];
};

// HMAC-SHA-256 with a key of 32 bytes; `out` may be any of the inputs. OpenSSL's own looks the algorithm up at each call.
static void mac(const uint8_t key[SCALAR], const uint8_t *input, size_t length, uint8_t out[SHA256_DIGEST_LENGTH]) {
  uint8_t inner[SHA256_CBLOCK], outer[SHA256_CBLOCK], digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX context;
  for (size_t i = 0; i < SHA256_CBLOCK; i++) {
    uint8_t byte = i < SCALAR ? key[i] : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  SHA256_Init(&context);
  SHA256_Update(&context, inner, sizeof inner);
  SHA256_Update(&context, input, length);
  SHA256_Final(digest, &context);
  SHA256_Init(&context);
  SHA256_Update(&context, outer, sizeof outer);
  SHA256_Update(&context, digest, sizeof digest);
  SHA256_Final(out, &context);
  OPENSSL_cleanse(inner, sizeof inner);
  OPENSSL_cleanse(outer, sizeof outer);
  OPENSSL_cleanse(digest, sizeof digest);
  OPENSSL_cleanse(&context, sizeof context);
}

// K = HMAC(K, V ‖ mark ‖ more), V = HMAC(K, V)
static void stir(struct drawing *drawing, uint8_t mark, const uint8_t *more, size_t length) {
  uint8_t input[SHA256_DIGEST_LENGTH + 1 + 2 * SCALAR];
  memcpy(input, drawing->v, sizeof drawing->v);
  input[sizeof drawing->v] = mark;
  if (length > 0) memcpy(input + sizeof drawing->v + 1, more, length);
  mac(drawing->k, input, sizeof drawing->v + 1 + length, drawing->k);
  mac(drawing->k, drawing->v, sizeof drawing->v, drawing->v);
  OPENSSL_cleanse(input, sizeof input);
}

// bits2octets (§2.3.4): the digest as a number, minus the order once if it is not below it.
static bool reduce(const uint8_t digest[SCALAR], const BIGNUM *order, uint8_t out[SCALAR]) {
  BIGNUM *number = BN_bin2bn(digest, SCALAR, NULL);
  bool done = number != NULL && (BN_cmp(number, order) < 0 || BN_sub(number, number, order) == 1) &&
              BN_bn2binpad(number, out, SCALAR) == SCALAR;
  BN_free(number);
  return done;
}

// r = x(k·G) mod n and k⁻¹ mod n, both without branches on k, of which `bytes` are those. False if something failed or r is 0.
static bool commit(struct p256_signer *signer, BIGNUM *k, const uint8_t bytes[SCALAR], BIGNUM **r, BIGNUM **inverse) {
  const EC_GROUP *group = EC_KEY_get0_group(signer->key);
  const BIGNUM *order = EC_GROUP_get0_order(group);
  EC_POINT *point = EC_POINT_new(group);
  BIGNUM *x = BN_new();
  uint8_t inverted[SCALAR];
  BN_set_flags(k, BN_FLG_CONSTTIME);
  *inverse = NULL;
  *r = BN_new();
  bool done = point != NULL && x != NULL && *r != NULL && EC_POINT_mul(group, point, k, NULL, NULL, signer->context) == 1 &&
              EC_POINT_get_affine_coordinates(group, point, x, NULL, signer->context) == 1 &&
              BN_nnmod(*r, x, order, signer->context) == 1 && !BN_is_zero(*r) && inverse_of_nonce(bytes, inverted) &&
              (*inverse = BN_bin2bn(inverted, SCALAR, NULL)) != NULL;
  OPENSSL_cleanse(inverted, sizeof inverted);
  BN_free(x);
  EC_POINT_free(point);
  return done;
}

static bool sign_digest(struct p256_signer *signer, const uint8_t digest[SCALAR], uint8_t out[SIGNATURE]) {
  const BIGNUM *order = EC_GROUP_get0_order(EC_KEY_get0_group(signer->key));
  struct drawing drawing;
  uint8_t seed[2 * SCALAR];
  bool done = false;
  memset(drawing.k, 0, sizeof drawing.k);
  memset(drawing.v, 1, sizeof drawing.v);
  memcpy(seed, signer->secret, SCALAR);
  if (!reduce(digest, order, seed + SCALAR)) return false;
  stir(&drawing, 0, seed, sizeof seed);
  stir(&drawing, 1, seed, sizeof seed);
  OPENSSL_cleanse(seed, sizeof seed);
  // A candidate is out of range once in 2^32, and never twice in a lifetime.
  for (int attempt = 0; attempt < 8 && !done; attempt++) {
    mac(drawing.k, drawing.v, sizeof drawing.v, drawing.v);
    BIGNUM *k = BN_bin2bn(drawing.v, SCALAR, NULL), *r = NULL, *inverse = NULL;
    if (k != NULL && !BN_is_zero(k) && BN_cmp(k, order) < 0 && commit(signer, k, drawing.v, &r, &inverse)) {
      ECDSA_SIG *pair = ECDSA_do_sign_ex(digest, SCALAR, inverse, r, signer->key);
      done = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, SCALAR) == SCALAR &&
             BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + SCALAR, SCALAR) == SCALAR;
      ECDSA_SIG_free(pair);
    }
    BN_clear_free(k);
    BN_clear_free(inverse);
    BN_clear_free(r);
    if (!done) stir(&drawing, 0, NULL, 0);
  }
  OPENSSL_cleanse(&drawing, sizeof drawing);
  return done;
}

static struct signed_digest *place_of(struct p256_signer *signer, const uint8_t digest[SHA256_DIGEST_LENGTH]) {
  uint32_t number;
  memcpy(&number, digest, sizeof number);
  return &signer->remembered[number % REMEMBERED];
}

bool p256_sign(struct p256_signer *signer, const uint8_t *message, size_t length, uint8_t signature[SIGNATURE]) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  sha256(message, length, digest);
  struct signed_digest *place = place_of(signer, digest);
  if (memcmp(place->digest, digest, sizeof digest) == 0) {
    memcpy(signature, place->signature, SIGNATURE);
    return true;
  }
  if (!sign_digest(signer, digest, signature)) {
    ERR_clear_error();
    return false;
  }
  memcpy(place->digest, digest, sizeof digest);
  memcpy(place->signature, signature, SIGNATURE);
  return true;
}

static napi_value p256_signature(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, length;
  uint8_t *message, signature[SIGNATURE];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct p256_signer *signer = handle_data(env, arguments[0], &SIGNER);
  if (signer == NULL || !addon_bytes(env, arguments[1], &message, &length))
    return addon_bad(env, "p256Sign(signer, message): a signer and a Uint8Array");
  return p256_sign(signer, message, length, signature) ? addon_new_bytes(env, signature, SIGNATURE)
                                                       : broken(env, "signing with P-256");
}

void register_p256(napi_env env, napi_value exports) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_p256);
  addon_function(env, exports, "p256Verify", p256_verify);
  addon_function(env, exports, "p256Signer", p256_signer);
  addon_function(env, exports, "p256Sign", p256_signature);
}
