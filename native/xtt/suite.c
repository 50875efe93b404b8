#include "suite.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

static const uint8_t ZEROS[HASH];

static bool uses_blake2b(unsigned suite) { return suite == 2 || suite == 4; }
static bool uses_chacha(unsigned suite) { return suite <= 2; }

// Fetches the cipher once: the context keeps it.
static EVP_CIPHER_CTX *cipher_context(const char *name) {
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  if (cipher == NULL || context == NULL || EVP_CipherInit_ex2(context, cipher, NULL, NULL, 1, NULL) != 1) {
    EVP_CIPHER_CTX_free(context);
    context = NULL;
  }
  EVP_CIPHER_free(cipher);
  return context;
}

bool algorithms_open(struct algorithms *algorithms) {
  EVP_MD *digest = EVP_MD_fetch(NULL, "BLAKE2B-512", NULL);
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
  *algorithms = (struct algorithms){.blake2b = EVP_MD_CTX_new(), .blake2b_mac = mac == NULL ? NULL : EVP_MAC_CTX_new(mac),
                                    .chacha = cipher_context("ChaCha20-Poly1305"), .aes = cipher_context("AES-256-GCM")};
  hmac_prepare(&algorithms->zero, (struct span){ZEROS, sizeof ZEROS});
  bool done = digest != NULL && algorithms->blake2b != NULL && EVP_DigestInit_ex2(algorithms->blake2b, digest, NULL) == 1 &&
              algorithms->blake2b_mac != NULL && algorithms->chacha != NULL && algorithms->aes != NULL;
  EVP_MD_free(digest);
  EVP_MAC_free(mac);
  return done;
}

void algorithms_close(struct algorithms *algorithms) {
  EVP_MD_CTX_free(algorithms->blake2b);
  EVP_MAC_CTX_free(algorithms->blake2b_mac);
  EVP_CIPHER_CTX_free(algorithms->chacha);
  EVP_CIPHER_CTX_free(algorithms->aes);
}

bool suite_hash(struct algorithms *algorithms, unsigned suite, const struct span *spans, size_t count, uint8_t hash[HASH]) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += spans[i].length;
  const uint8_t prefix[2] = {(uint8_t)(length >> 8), (uint8_t)length};
  if (uses_blake2b(suite)) {
    EVP_MD_CTX *context = algorithms->blake2b;
    bool good = EVP_DigestInit_ex2(context, NULL, NULL) == 1 && EVP_DigestUpdate(context, prefix, sizeof prefix) == 1;
    for (size_t i = 0; good && i < count; i++) good = EVP_DigestUpdate(context, spans[i].data, spans[i].length) == 1;
    return good && EVP_DigestFinal_ex(context, hash, NULL) == 1;
  }
  SHA512_CTX context;
  SHA512_Init(&context);
  SHA512_Update(&context, prefix, sizeof prefix);
  for (size_t i = 0; i < count; i++) SHA512_Update(&context, spans[i].data, spans[i].length);
  SHA512_Final(hash, &context);
  return true;
}

// BLAKE2b with a key of 64 bytes, whose digest length is a parameter of the hash, not a truncation.
static bool keyed_blake2b(struct algorithms *algorithms, const uint8_t key[HASH], const struct span *spans, size_t count, uint8_t *out,
                          size_t length) {
  EVP_MAC_CTX *context = algorithms->blake2b_mac;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &length), OSSL_PARAM_construct_end()};
  size_t made = 0;
  bool good = EVP_MAC_init(context, key, HASH, parameters) == 1;
  for (size_t i = 0; good && i < count; i++) good = EVP_MAC_update(context, spans[i].data, spans[i].length) == 1;
  return good && EVP_MAC_final(context, out, &made, length) == 1 && made == length;
}

struct label {
  struct span text;
  size_t at, length;
};
#define LABEL(TEXT, MEMBER) \
  { {(const uint8_t *)TEXT, sizeof TEXT - 1}, offsetof(struct handshake_keys, MEMBER), sizeof ((struct handshake_keys *)0)->MEMBER }
static const struct label LABELS[] = {
    LABEL("XTT handshake client key", client.key),
    LABEL("XTT handshake client iv", client.iv),
    LABEL("XTT handshake server key", server.key),
    LABEL("XTT handshake server iv", server.iv),
};
enum { LABEL_COUNT = sizeof LABELS / sizeof *LABELS };

static bool blake2b_keys(struct algorithms *algorithms, const uint8_t shared[SHARE], const uint8_t key_hash[HASH], uint8_t *keys) {
  uint8_t secret[HASH];
  bool good = keyed_blake2b(algorithms, ZEROS, &(struct span){shared, SHARE}, 1, secret, sizeof secret);
  for (size_t i = 0; good && i < LABEL_COUNT; i++) {
    const struct span input[] = {{key_hash, HASH}, LABELS[i].text};
    good = keyed_blake2b(algorithms, secret, input, 2, keys + LABELS[i].at, LABELS[i].length);
  }
  // The context keeps the key that it was given last.
  good = keyed_blake2b(algorithms, ZEROS, NULL, 0, secret, sizeof secret) && good;
  OPENSSL_cleanse(secret, sizeof secret);
  return good;
}

static void sha512_keys(struct algorithms *algorithms, const uint8_t shared[SHARE], const uint8_t key_hash[HASH], uint8_t *keys) {
  struct hmac_key key;
  uint8_t mac[HASH];
  hmac_of(&algorithms->zero, &(struct span){shared, SHARE}, 1, mac);
  hmac_prepare(&key, (struct span){mac, sizeof mac});
  for (size_t i = 0; i < LABEL_COUNT; i++) {
    const struct span input[] = {{key_hash, HASH}, LABELS[i].text};
    hmac_of(&key, input, 2, mac);
    memcpy(keys + LABELS[i].at, mac, LABELS[i].length);
  }
  OPENSSL_cleanse(mac, sizeof mac);
  OPENSSL_cleanse(&key, sizeof key);
}

bool suite_keys(struct algorithms *algorithms, unsigned suite, const uint8_t shared[SHARE], const uint8_t key_hash[HASH],
                struct handshake_keys *keys) {
  if (uses_blake2b(suite)) return blake2b_keys(algorithms, shared, key_hash, (uint8_t *)keys);
  sha512_keys(algorithms, shared, key_hash, (uint8_t *)keys);
  return true;
}

// The context serves the next message with another key: this one is not left in it.
static void forget_key(EVP_CIPHER_CTX *context) {
  if (EVP_CipherInit_ex2(context, NULL, ZEROS, ZEROS, 1, NULL) != 1) ERR_clear_error();
}

static bool seal(EVP_CIPHER_CTX *context, const uint8_t key[KEY], const uint8_t nonce[IV], struct span clear, struct span text, uint8_t *out) {
  int length = 0, last = 0;
  bool done = EVP_CipherInit_ex2(context, NULL, key, nonce, 1, NULL) == 1 &&
              EVP_EncryptUpdate(context, NULL, &last, clear.data, (int)clear.length) == 1 &&
              EVP_EncryptUpdate(context, out, &length, text.data, (int)text.length) == 1 &&
              EVP_EncryptFinal_ex(context, out + length, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + text.length) == 1;
  forget_key(context);
  return done;
}

static enum opening open_sealed(EVP_CIPHER_CTX *context, const uint8_t key[KEY], const uint8_t nonce[IV], struct span clear,
                                struct span sealed, uint8_t *out) {
  int length = 0, last = 0;
  size_t body = sealed.length - TAG;
  bool ready = EVP_CipherInit_ex2(context, NULL, key, nonce, 0, NULL) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(sealed.data + body)) == 1 &&
               EVP_DecryptUpdate(context, NULL, &last, clear.data, (int)clear.length) == 1 &&
               EVP_DecryptUpdate(context, out, &length, sealed.data, (int)body) == 1;
  bool genuine = ready && EVP_DecryptFinal_ex(context, out + length, &last) == 1;
  forget_key(context);
  if (genuine) return OPENED;
  // Nothing of what does not fit its tag gets out.
  OPENSSL_cleanse(out, body);
  ERR_clear_error();
  return ready ? NOT_AUTHENTIC : BROKEN;
}

// iv XOR (8 zero bytes ‖ u32(sequence))
static void nonce_of(const struct direction *keys, uint32_t sequence, uint8_t nonce[IV]) {
  memcpy(nonce, keys->iv, IV);
  for (int i = 0; i < 4; i++) nonce[IV - 1 - i] ^= (uint8_t)(sequence >> 8 * i);
}

static EVP_CIPHER_CTX *aead_of(struct algorithms *algorithms, unsigned suite) {
  return uses_chacha(suite) ? algorithms->chacha : algorithms->aes;
}

bool suite_seal(struct algorithms *algorithms, unsigned suite, const struct direction *keys, uint32_t sequence, struct span clear,
                struct span text, uint8_t *out) {
  uint8_t nonce[IV];
  nonce_of(keys, sequence, nonce);
  return seal(aead_of(algorithms, suite), keys->key, nonce, clear, text, out);
}

enum opening suite_open(struct algorithms *algorithms, unsigned suite, const struct direction *keys, uint32_t sequence, struct span clear,
                        struct span sealed, uint8_t *out) {
  uint8_t nonce[IV];
  nonce_of(keys, sequence, nonce);
  return open_sealed(aead_of(algorithms, suite), keys->key, nonce, clear, sealed, out);
}

bool cookie_seal(struct algorithms *algorithms, const uint8_t key[KEY], const uint8_t nonce[IV], struct span text, uint8_t *out) {
  return seal(algorithms->chacha, key, nonce, (struct span){nonce, IV}, text, out);
}

enum opening cookie_open(struct algorithms *algorithms, const uint8_t key[KEY], const uint8_t nonce[IV], struct span sealed, uint8_t *out) {
  return open_sealed(algorithms->chacha, key, nonce, (struct span){nonce, IV}, sealed, out);
}
