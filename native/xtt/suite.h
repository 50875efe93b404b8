// The four suites: hashes, keys and sealing (docs/spec/xtt-protocol.md §7, §8), over the node binary's OpenSSL.
#pragma once
#include "crypto/hmac.h"
#include "sizes.h"
#include <openssl/evp.h>
#include <stdbool.h>

// A suite as it stands on the wire, 1 to 4.
static inline bool suite_known(unsigned suite) { return suite >= 1 && suite <= 4; }

// What OpenSSL would look up by name, and allocate, for each call. For one thread at a time; keeps no key between two calls.
struct algorithms {
  EVP_MD_CTX *blake2b;
  EVP_MAC_CTX *blake2b_mac;
  EVP_CIPHER_CTX *chacha, *aes;
  struct hmac_key zero;  // the key of zeros that the shared secret goes through
};

// False without memory, or if OpenSSL was built without one of them; then it is to be closed, too.
bool algorithms_open(struct algorithms *algorithms);
void algorithms_close(struct algorithms *algorithms);

// HX of the concatenated spans, which have less than 64 KB together: H(u16(length) ‖ them).
bool suite_hash(struct algorithms *algorithms, unsigned suite, const struct span *spans, size_t count, uint8_t hash[HASH]);

// What protects one direction.
struct direction {
  uint8_t key[KEY], iv[IV];
};
struct handshake_keys {
  struct direction client, server;
};

// The keys of a handshake from the X25519 shared secret and HandshakeKeyHash.
bool suite_keys(struct algorithms *algorithms, unsigned suite, const uint8_t shared[SHARE], const uint8_t key_hash[HASH],
                struct handshake_keys *keys);

// Seals the `sequence`-th message of a direction: `out` gets text.length + TAG bytes.
bool suite_seal(struct algorithms *algorithms, unsigned suite, const struct direction *keys, uint32_t sequence, struct span clear,
                struct span text, uint8_t *out);
// BROKEN: OpenSSL has no memory. Nothing is in `out` unless it is OPENED.
enum opening { OPENED, NOT_AUTHENTIC, BROKEN };
// `sealed` has TAG bytes at least; `out` gets TAG less.
enum opening suite_open(struct algorithms *algorithms, unsigned suite, const struct direction *keys, uint32_t sequence, struct span clear,
                        struct span sealed, uint8_t *out);

// The same with ChaCha20-Poly1305 and this nonce, for cookies.
bool cookie_seal(struct algorithms *algorithms, const uint8_t key[KEY], const uint8_t nonce[IV], struct span text, uint8_t *out);
enum opening cookie_open(struct algorithms *algorithms, const uint8_t key[KEY], const uint8_t nonce[IV], struct span sealed, uint8_t *out);
