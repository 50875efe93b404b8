// An OpenSSL provider inside this process, in the OpenSSL that Node itself uses: a PEM that names a TPM key works as the
// private key of an ordinary tls.connect(). It offers keys (keymgmt.c), signing (sign.c) and the
// reading of that PEM (decoder.c), and diverts nothing else.
#pragma once
#include "tpm/tss.h"
#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#define PROVIDER_NAME "enf-tpm"
#define PROVIDER_PEM_LABEL "ENF TPM KEY"
#define PROVIDER_POINT_BYTES 65
#define PROVIDER_PEM_BYTES 256
#define PROVIDER_SIGNATURE_BYTES 72  // the longest DER of a P-256 signature

// A key in the TPM. OpenSSL may hold it longer than JavaScript does; once closed it signs no more.
struct tls_key;

// provider.c, for JavaScript: adds a key, and loads the provider before the first one. NULL, or what went wrong. `pem` has
// PROVIDER_PEM_BYTES.
const char *provider_register(struct tss_context *context, uint32_t object, const uint8_t *point, uint32_t timeout_ms,
                              uint32_t *id, char *pem);

// keys.c
const char *provider_keys_add(struct tls_key *key, uint32_t *id, char *pem);
void provider_forget(uint32_t id);
void provider_forget_context(struct tss_context *context);
// Reads the PEM's content; the caller releases the key. NULL if it names none.
struct tls_key *provider_find(const uint8_t *name, size_t length);

// tlskey.c
struct tls_key *tls_key_new(struct tss_context *context, uint32_t object, const uint8_t *point, uint32_t timeout_ms);
struct tls_key *tls_key_retain(struct tls_key *key);
void tls_key_release(struct tls_key *key);
void tls_key_close(struct tls_key *key);
bool tls_key_uses(const struct tls_key *key, const struct tss_context *context);
const uint8_t *tls_key_point(const struct tls_key *key);
// ECDSA over a digest of 32 bytes; r and s are 32 bytes each.
TSS2_RC tls_key_sign(struct tls_key *key, const uint8_t *digest, uint8_t *r, uint8_t *s);

// keymgmt.c: the object behind an EVP_PKEY; tls is NULL for a public key that was imported to compare with.
struct provider_key {
  struct tls_key *tls;
  uint8_t point[PROVIDER_POINT_BYTES];
  bool has_point;
};
struct provider_key *provider_key_of(struct tls_key *key);
extern const OSSL_ALGORITHM provider_keymgmt[];
// sign.c
extern const OSSL_ALGORITHM provider_signature[];
// decoder.c
extern const OSSL_ALGORITHM provider_decoder[];
void provider_decoder_use(OSSL_FUNC_BIO_read_ex_fn *read);
