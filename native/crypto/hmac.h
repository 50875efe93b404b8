// HMAC-SHA-512 in one call: OpenSSL's own looks the algorithm up at each call.
#pragma once
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

// A key, ready for any number of inputs; the caller wipes it.
struct hmac_key {
  SHA512_CTX inner, outer;
};

// Bytes that somebody else holds.
struct span {
  const uint8_t *data;
  size_t length;
};

void hmac_prepare(struct hmac_key *key, struct span given);
// The MAC of the concatenated spans.
void hmac_of(const struct hmac_key *key, const struct span *spans, size_t count, uint8_t mac[SHA512_DIGEST_LENGTH]);
