// Which keys of certificates are taken.
#pragma once
#include <openssl/evp.h>
#include <stdbool.h>

// P-256, P-384, Ed25519, or RSA of 2,048 to 4,096 bits with an exponent of at most 32: a signature by it costs a millisecond at most.
bool pki_sound_key(const EVP_PKEY *key);
