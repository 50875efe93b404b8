// The library context of the router's TLS has the keys that certificates may have, and little else.
#include "router/algorithms.h"
#include "../check.h"
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static void count_one(OSSL_DECODER *decoder, void *count) {
  (void)decoder;
  ++*(int *)count;
}

static int decoders_of(OSSL_LIB_CTX *context) {
  int count = 0;
  OSSL_DECODER_do_all_provided(context, count_one, &count);
  return count;
}

static EVP_PKEY *make(const char *type) {
  EVP_PKEY_CTX *generator = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  EVP_PKEY *key = NULL;
  CHECK(generator != NULL && EVP_PKEY_keygen_init(generator) == 1 && EVP_PKEY_generate(generator, &key) == 1);
  EVP_PKEY_CTX_free(generator);
  return key;
}

// Does the context read this key, and is it the same key then?
static int reads(OSSL_LIB_CTX *context, EVP_PKEY *key) {
  uint8_t *bytes = NULL;
  CHECK(key != NULL);
  int length = i2d_PUBKEY(key, &bytes), same = 0;
  CHECK(length > 0);
  const uint8_t *at = bytes;
  EVP_PKEY *read = d2i_PUBKEY_ex(NULL, &at, length, context, NULL);
  if (read != NULL) same = EVP_PKEY_eq(read, key) == 1;
  EVP_PKEY_free(read);
  EVP_PKEY_free(key);
  OPENSSL_free(bytes);
  return same;
}

int main(void) {
  OSSL_LIB_CTX *context = router_algorithms();
  CHECK(context != NULL && context == router_algorithms());
  CHECK(decoders_of(context) == 4 && decoders_of(NULL) > 20);
  CHECK(reads(context, EVP_EC_gen("P-256")) && reads(context, EVP_EC_gen("P-384")));
  CHECK(reads(context, make("ED25519")) && reads(context, make("RSA")));
  CHECK(reads(context, make("RSA-PSS")));
  CHECK(!reads(context, make("ED448")) && !reads(context, make("X448")));
  static const char *const fetched[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
  for (size_t i = 0; i < sizeof fetched / sizeof *fetched; i++) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(context, fetched[i], NULL);
    CHECK(cipher != NULL);
    EVP_CIPHER_free(cipher);
  }
  CHECK(EVP_CIPHER_fetch(context, "AES-128-CBC", NULL) == NULL && EVP_MD_fetch(context, "MD5", NULL) == NULL);
  puts("ok");
  return 0;
}
