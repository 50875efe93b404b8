// X25519 from raw bytes, over the node binary's OpenSSL: node:crypto imports a key object for each raw key first, which costs as much as the computation.
#include "x25519.h"
#include "calls.h"
#include "napi.h"
#include "x25519_lanes.h"
#include "addon/handle.h"
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static napi_value x25519_public(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1, length = X25519_LENGTH;
  uint8_t *secret, share[X25519_LENGTH];
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!exactly(env, argument, &secret, X25519_LENGTH)) return addon_bad(env, "x25519Public(secret): secret is 32 bytes");
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_LENGTH);
  bool done = key != NULL && EVP_PKEY_get_raw_public_key(key, share, &length) == 1 && length == X25519_LENGTH;
  EVP_PKEY_free(key);
  return done ? addon_new_bytes(env, share, sizeof share) : broken(env, "making an X25519 share");
}

static const napi_type_tag X25519_KEY = {0x1c94e7b05da83f62, 0xe27f4a90c6135d8b};

void x25519_wipe(struct x25519 *own) {
  EVP_PKEY_CTX_free(own->exchange);
  EVP_PKEY_free(own->peer);
  EVP_PKEY_free(own->key);  // OpenSSL overwrites it
  OPENSSL_cleanse(own->secret, sizeof own->secret);
  *own = (struct x25519){0};
}

bool x25519_import(struct x25519 *own, const uint8_t secret[X25519_LENGTH]) {
  own->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_LENGTH);
  own->peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, (const uint8_t[X25519_LENGTH]){9}, X25519_LENGTH);
  own->exchange = own->key == NULL ? NULL : EVP_PKEY_CTX_new(own->key, NULL);
  memcpy(own->secret, secret, X25519_LENGTH);
  // Any 32 bytes are a share: there is nothing to be checked.
  return own->peer != NULL && own->exchange != NULL && EVP_PKEY_derive_init(own->exchange) == 1 &&
         EVP_PKEY_derive_set_peer_ex(own->exchange, own->peer, 0) == 1;
}

bool x25519_share(const struct x25519 *own, uint8_t share[X25519_LENGTH]) {
  size_t length = X25519_LENGTH;
  return own->key != NULL && EVP_PKEY_get_raw_public_key(own->key, share, &length) == 1 && length == X25519_LENGTH;
}

bool x25519_exchange(struct x25519 *own, const uint8_t peer_share[X25519_LENGTH], uint8_t shared[X25519_LENGTH]) {
  size_t length = X25519_LENGTH;
  if (own->key == NULL || EVP_PKEY_set1_encoded_public_key(own->peer, peer_share, X25519_LENGTH) != 1) return false;
  if (EVP_PKEY_derive(own->exchange, shared, &length) == 1) return true;
  // OpenSSL refuses the zeros that a share of small order gives.
  ERR_clear_error();
  memset(shared, 0, X25519_LENGTH);
  return true;
}

bool x25519_exchange_together(struct x25519 *own, const uint8_t (*peer_shares)[X25519_LENGTH], size_t count, uint8_t (*shared)[X25519_LENGTH]) {
  _Static_assert((int)X25519_TOGETHER == (int)X25519_LANES, "they fit into the lanes");
  if (own->key == NULL) return false;
  // Lanes take for one as long as for all of them.
  if (count > 1 && x25519_has_lanes()) {
    x25519_lanes_exchange(own->secret, peer_shares, count, shared);
    return true;
  }
  for (size_t i = 0; i < count; i++)
    if (!x25519_exchange(own, peer_shares[i], shared[i])) return false;
  return true;
}

static void release_x25519(void *data) {
  x25519_wipe(data);
  free(data);
}

static napi_value x25519_key(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  uint8_t *secret;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!exactly(env, argument, &secret, X25519_LENGTH)) return addon_bad(env, "x25519Key(secret): secret is 32 bytes");
  struct x25519 *own = calloc(1, sizeof *own);
  if (own == NULL) return broken(env, "no memory for an X25519 key");
  if (x25519_import(own, secret)) return handle_new(env, &X25519_KEY, own, release_x25519);
  release_x25519(own);
  return broken(env, "importing an X25519 secret");
}

static napi_value x25519_shared(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  uint8_t *share, shared[X25519_LENGTH];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct x25519 *own = handle_data(env, arguments[0], &X25519_KEY);
  if (own == NULL || !exactly(env, arguments[1], &share, X25519_LENGTH))
    return addon_bad(env, "x25519Shared(key, peerShare): a key, and 32 bytes");
  if (own->key == NULL) return broken(env, "the X25519 key was forgotten");
  if (!x25519_exchange(own, share, shared)) return broken(env, "an X25519 exchange");
  napi_value result = addon_new_bytes(env, shared, sizeof shared);
  OPENSSL_cleanse(shared, sizeof shared);
  return result;
}

static napi_value x25519_forget(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct x25519 *own = handle_data(env, argument, &X25519_KEY);
  if (own == NULL) return addon_bad(env, "x25519Forget(key)");
  x25519_wipe(own);
  return NULL;
}

void register_x25519(napi_env env, napi_value exports) {
  addon_function(env, exports, "x25519Public", x25519_public);
  addon_function(env, exports, "x25519Key", x25519_key);
  addon_function(env, exports, "x25519Shared", x25519_shared);
  addon_function(env, exports, "x25519Forget", x25519_forget);
}
