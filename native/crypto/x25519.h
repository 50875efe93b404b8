// X25519 on raw bytes, over the node binary's OpenSSL.
#pragma once
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { X25519_LENGTH = 32 };

// A secret that is used for many peers, by one thread at a time: imported once, and all is NULL once it was forgotten. What OpenSSL looks up by
// name for an exchange, and the object that is the peer's share, serve all its exchanges.
struct x25519 {
  EVP_PKEY *key, *peer;
  EVP_PKEY_CTX *exchange;
  uint8_t secret[X25519_LENGTH];
};

// False without memory; then it is to be forgotten, too.
bool x25519_import(struct x25519 *own, const uint8_t secret[X25519_LENGTH]);
// Wipes it; allowed any number of times.
void x25519_wipe(struct x25519 *own);
// Its share. False if it was forgotten.
bool x25519_share(const struct x25519 *own, uint8_t share[X25519_LENGTH]);
// The shared value; zeros for a peer share of small order, which the caller refuses by name. False if OpenSSL has no memory.
bool x25519_exchange(struct x25519 *own, const uint8_t peer_share[X25519_LENGTH], uint8_t shared[X25519_LENGTH]);
// The same with 1 to X25519_TOGETHER peers, at once where the processor can.
enum { X25519_TOGETHER = 8 };
bool x25519_exchange_together(struct x25519 *own, const uint8_t (*peer_shares)[X25519_LENGTH], size_t count, uint8_t (*shared)[X25519_LENGTH]);
