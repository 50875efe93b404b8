#include "hmac.h"
#include <openssl/crypto.h>
#include <string.h>

void hmac_prepare(struct hmac_key *key, struct span given) {
  uint8_t inner[SHA512_CBLOCK] = {0}, outer[SHA512_CBLOCK];
  if (given.length > SHA512_CBLOCK) {
    SHA512_Init(&key->inner);
    SHA512_Update(&key->inner, given.data, given.length);
    SHA512_Final(inner, &key->inner);
  } else if (given.length > 0) memcpy(inner, given.data, given.length);
  for (size_t i = 0; i < sizeof inner; i++) {
    outer[i] = inner[i] ^ 0x5c;
    inner[i] ^= 0x36;
  }
  SHA512_Init(&key->inner);
  SHA512_Update(&key->inner, inner, sizeof inner);
  SHA512_Init(&key->outer);
  SHA512_Update(&key->outer, outer, sizeof outer);
  OPENSSL_cleanse(inner, sizeof inner);
  OPENSSL_cleanse(outer, sizeof outer);
}

void hmac_of(const struct hmac_key *key, const struct span *spans, size_t count, uint8_t mac[SHA512_DIGEST_LENGTH]) {
  SHA512_CTX context = key->inner;
  for (size_t i = 0; i < count; i++) SHA512_Update(&context, spans[i].data, spans[i].length);
  SHA512_Final(mac, &context);
  context = key->outer;
  SHA512_Update(&context, mac, SHA512_DIGEST_LENGTH);
  SHA512_Final(mac, &context);
  OPENSSL_cleanse(&context, sizeof context);
}
