// X25519 (RFC 7748) of one secret with eight shares at once, for processors with AVX-512 IFMA.
#pragma once
#include "x25519.h"

enum { X25519_LANES = 8 };

// True if this processor and this build can do it; x25519_lanes_exchange() must not be called without.
bool x25519_has_lanes(void);
// The shared values of the secret, 32 bytes as they were drawn, with `count` peer shares, 1 to 8; zeros for a share of small order. No branch and no
// address depends on the secret.
void x25519_lanes_exchange(const uint8_t secret[X25519_LENGTH], const uint8_t (*peer_shares)[X25519_LENGTH], size_t count,
                           uint8_t (*shared)[X25519_LENGTH]);
