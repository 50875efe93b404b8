// Hashes, MACs and AEADs in one call each, over the node binary's OpenSSL: node:crypto makes an object for each of them,
// which costs several times what the few hundred bytes of a handshake cost.
#include "calls.h"
#include "napi.h"
#include "hmac.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

enum { DIGEST = 64, MAX_PARTS = 8, KEY = 32, NONCE = 12, TAG = 16, MAX_TEXT = 65536 };

static bool span_of(napi_env env, napi_value value, struct span *out) {
  uint8_t *data;
  if (!addon_bytes(env, value, &data, &out->length)) return false;
  out->data = data;
  return true;
}

// All arguments from `first` on as byte strings; their number, or -1.
static int parts_of(napi_env env, napi_callback_info info, napi_value *arguments, struct span *parts, size_t first) {
  size_t count = MAX_PARTS + 1;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count > MAX_PARTS || count < first) return -1;
  for (size_t i = 0; i < count; i++)
    if (!span_of(env, arguments[i], &parts[i])) return -1;
  return (int)count;
}

static napi_value sha512(napi_env env, napi_callback_info info) {
  napi_value arguments[MAX_PARTS + 1];
  struct span parts[MAX_PARTS];
  uint8_t digest[DIGEST];
  SHA512_CTX context;
  int count = parts_of(env, info, arguments, parts, 0);
  if (count < 0) return addon_bad(env, "sha512(...parts): at most 8 Uint8Arrays");
  SHA512_Init(&context);
  for (int i = 0; i < count; i++) SHA512_Update(&context, parts[i].data, parts[i].length);
  SHA512_Final(digest, &context);
  return addon_new_bytes(env, digest, sizeof digest);
}

static napi_value blake2b512(napi_env env, napi_callback_info info) {
  static EVP_MD *algorithm;  // fetched once; lives as long as the process
  napi_value arguments[MAX_PARTS + 1];
  struct span parts[MAX_PARTS];
  uint8_t digest[DIGEST];
  unsigned length = 0;
  int count = parts_of(env, info, arguments, parts, 0);
  if (count < 0) return addon_bad(env, "blake2b512(...parts): at most 8 Uint8Arrays");
  if (algorithm == NULL) algorithm = EVP_MD_fetch(NULL, "BLAKE2B-512", NULL);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool good = algorithm != NULL && context != NULL && EVP_DigestInit_ex2(context, algorithm, NULL) == 1;
  for (int i = 0; good && i < count; i++) good = EVP_DigestUpdate(context, parts[i].data, parts[i].length) == 1;
  good = good && EVP_DigestFinal_ex(context, digest, &length) == 1 && length == DIGEST;
  EVP_MD_CTX_free(context);
  return good ? addon_new_bytes(env, digest, sizeof digest) : broken(env, "a BLAKE2b");
}

static napi_value hmac_sha512(napi_env env, napi_callback_info info) {
  napi_value arguments[MAX_PARTS + 1];
  struct span parts[MAX_PARTS];
  struct hmac_key key;
  uint8_t digest[DIGEST];
  int count = parts_of(env, info, arguments, parts, 1);
  if (count < 0) return addon_bad(env, "hmacSha512(key, ...parts): at most 7 parts, all Uint8Arrays");
  hmac_prepare(&key, parts[0]);
  hmac_of(&key, parts + 1, (size_t)count - 1, digest);
  napi_value result = addon_new_bytes(env, digest, sizeof digest);
  OPENSSL_cleanse(&key, sizeof key);
  OPENSSL_cleanse(digest, sizeof digest);
  return result;
}

// hmacSha512Each(key, input, lengths, ...labels)
static napi_value hmac_sha512_each(napi_env env, napi_callback_info info) {
  napi_value arguments[MAX_PARTS + 1];
  struct span parts[MAX_PARTS];
  struct hmac_key key;
  uint8_t digest[DIGEST], all[MAX_PARTS * DIGEST];
  size_t made = 0;
  int count = parts_of(env, info, arguments, parts, 3);
  bool good = count > 3 && parts[2].length == (size_t)count - 3;
  for (size_t i = 0; good && i < parts[2].length; i++) good = parts[2].data[i] > 0 && parts[2].data[i] <= DIGEST;
  if (!good) return addon_bad(env, "hmacSha512Each(key, input, lengths, ...labels): 1 to 5 labels, and for each a length of 1 to 64");
  hmac_prepare(&key, parts[0]);
  for (size_t i = 0; i < parts[2].length; i++) {
    hmac_of(&key, (const struct span[]){parts[1], parts[3 + i]}, 2, digest);
    memcpy(all + made, digest, parts[2].data[i]);
    made += parts[2].data[i];
  }
  napi_value result = addon_new_bytes(env, all, made);
  OPENSSL_cleanse(&key, sizeof key);
  OPENSSL_cleanse(digest, sizeof digest);
  OPENSSL_cleanse(all, made);
  return result;
}

static napi_value blake2b_mac(napi_env env, napi_callback_info info) {
  static EVP_MAC *algorithm;
  napi_value arguments[3];
  size_t count = 3, made = 0;
  struct span key, input;
  uint8_t mac[DIGEST];
  uint32_t wanted;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!span_of(env, arguments[0], &key) || key.length == 0 || key.length > DIGEST ||
      !span_of(env, arguments[1], &input) || !addon_u32(env, arguments[2], &wanted) || wanted == 0 ||
      wanted > DIGEST)
    return addon_bad(env, "blake2bMac(key, input, length): a key of 1 to 64 bytes, a length of 1 to 64");
  size_t size = wanted;
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  if (algorithm == NULL) algorithm = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
  EVP_MAC_CTX *context = algorithm == NULL ? NULL : EVP_MAC_CTX_new(algorithm);
  bool done = context != NULL && EVP_MAC_init(context, key.data, key.length, parameters) == 1 &&
              EVP_MAC_update(context, input.data, input.length) == 1 && EVP_MAC_final(context, mac, &made, sizeof mac) == 1;
  EVP_MAC_CTX_free(context);
  napi_value result = done && made == size ? addon_new_bytes(env, mac, size) : broken(env, "a keyed BLAKE2b");
  OPENSSL_cleanse(mac, sizeof mac);
  return result;
}

// What seal and open are called with: (aead, key, nonce, aad, text); NULL (and no exception) if anything does not fit.
struct sealing {
  EVP_CIPHER *cipher;
  uint8_t *key, *nonce;
  struct span aad, text;
};

static bool sealing_of(napi_env env, napi_callback_info info, struct sealing *out) {
  static EVP_CIPHER *chacha, *aes;
  napi_value arguments[5];
  size_t count = 5;
  char name[32];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], name, sizeof name) || !exactly(env, arguments[1], &out->key, KEY) ||
      !exactly(env, arguments[2], &out->nonce, NONCE) || !span_of(env, arguments[3], &out->aad) || out->aad.length > MAX_TEXT ||
      !span_of(env, arguments[4], &out->text) || out->text.length > MAX_TEXT)
    return false;
  if (strcmp(name, "chacha20-poly1305") == 0) {
    if (chacha == NULL) chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    out->cipher = chacha;
    return true;
  }
  if (strcmp(name, "aes-256-gcm") != 0) return false;
  if (aes == NULL) aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  out->cipher = aes;
  return true;
}

// A new Uint8Array of `length` bytes and its memory.
static napi_value room(napi_env env, size_t length, uint8_t **memory) {
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, length, (void **)memory, &buffer) != napi_ok) return NULL;
  return napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array) == napi_ok ? array : NULL;
}

static napi_value aead_seal(napi_env env, napi_callback_info info) {
  struct sealing with;
  uint8_t *out;
  int length = 0, last = 0;
  if (!sealing_of(env, info, &with))
    return addon_bad(env, "aeadSeal(aead, key, nonce, aad, plaintext): a known AEAD, 32 and 12 bytes, at most 64 KB each");
  napi_value result = room(env, with.text.length + TAG, &out);
  if (result == NULL) return NULL;
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  bool done = with.cipher != NULL && context != NULL && EVP_EncryptInit_ex2(context, with.cipher, with.key, with.nonce, NULL) == 1 &&
              (with.aad.length == 0 || EVP_EncryptUpdate(context, NULL, &last, with.aad.data, (int)with.aad.length) == 1) &&
              (with.text.length == 0 || EVP_EncryptUpdate(context, out, &length, with.text.data, (int)with.text.length) == 1) &&
              EVP_EncryptFinal_ex(context, out + length, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + with.text.length) == 1;
  EVP_CIPHER_CTX_free(context);
  return done ? result : broken(env, "sealing");
}

static napi_value aead_open(napi_env env, napi_callback_info info) {
  struct sealing with;
  uint8_t *out;
  int length = 0, last = 0;
  if (!sealing_of(env, info, &with))
    return addon_bad(env, "aeadOpen(aead, key, nonce, aad, sealed): a known AEAD, 32 and 12 bytes, at most 64 KB each");
  if (with.text.length < TAG) return NULL;
  size_t body = with.text.length - TAG;
  napi_value result = room(env, body, &out);
  if (result == NULL) return NULL;
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  bool ready = with.cipher != NULL && context != NULL && EVP_DecryptInit_ex2(context, with.cipher, with.key, with.nonce, NULL) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(with.text.data + body)) == 1 &&
               (with.aad.length == 0 || EVP_DecryptUpdate(context, NULL, &last, with.aad.data, (int)with.aad.length) == 1) &&
               (body == 0 || EVP_DecryptUpdate(context, out, &length, with.text.data, (int)body) == 1);
  bool genuine = ready && EVP_DecryptFinal_ex(context, out + length, &last) == 1;
  EVP_CIPHER_CTX_free(context);
  if (genuine) return result;
  // Nothing of what does not fit its tag gets out.
  if (body > 0) OPENSSL_cleanse(out, body);
  ERR_clear_error();
  return ready ? NULL : broken(env, "opening");
}

void register_hashes(napi_env env, napi_value exports) {
  addon_function(env, exports, "sha512", sha512);
  addon_function(env, exports, "blake2b512", blake2b512);
  addon_function(env, exports, "hmacSha512", hmac_sha512);
  addon_function(env, exports, "hmacSha512Each", hmac_sha512_each);
  addon_function(env, exports, "blake2bMac", blake2b_mac);
  addon_function(env, exports, "aeadSeal", aead_seal);
  addon_function(env, exports, "aeadOpen", aead_open);
}
