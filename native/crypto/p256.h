// ECDSA on P-256 with SHA-256, on raw bytes.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { P256_SCALAR = 32, P256_POINT = 65, P256_SIGNATURE = 64 };

// Whether r ‖ s, 64 bytes, is a signature over SHA-256(message) by the key at this uncompressed point, 65 bytes. False for whatever is
// malformed, off the curve or out of range; high s is valid.
bool p256_verifies(const uint8_t point[P256_POINT], const uint8_t *message, size_t length, const uint8_t signature[P256_SIGNATURE]);

// A secret that signs by RFC 6979, for one thread at a time.
struct p256_signer;
// Takes a copy of the scalar. NULL without memory, or if it is not in 1..n−1.
struct p256_signer *p256_signer_new(const uint8_t secret[P256_SCALAR]);
// Wipes and frees it; `data` may be NULL.
void p256_signer_free(void *data);
// Signs SHA-256(message): r ‖ s, high s left as it falls. It remembers its last signatures. False without memory.
bool p256_sign(struct p256_signer *signer, const uint8_t *message, size_t length, uint8_t signature[P256_SIGNATURE]);
