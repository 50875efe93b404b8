// The inverse of a secret modulo the order of P-256.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// k⁻¹ mod n of k in 1..n−1, both 32 bytes, most significant first, without branches and look-ups that depend on k. False without memory.
bool inverse_of_nonce(const uint8_t k[32], uint8_t inverse[32]);
