// A TPM-held TLS key: counted references, because JavaScript and OpenSSL release it at different times.
#include "provider.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE 32

struct tls_key {
  atomic_uint references;
  // Closed means that the TPM object may be flushed: its number must not be used again, because it may be another object's by then.
  atomic_bool closed;
  struct tss_context *context;
  uint32_t object;
  uint32_t timeout_ms;
  uint8_t point[PROVIDER_POINT_BYTES];
};

struct tls_key *tls_key_new(struct tss_context *context, uint32_t object, const uint8_t *point, uint32_t timeout_ms) {
  struct tls_key *key = calloc(1, sizeof *key);
  if (!key) return NULL;
  atomic_init(&key->references, 1);
  atomic_init(&key->closed, false);
  tss_context_retain(context);
  key->context = context;
  key->object = object;
  key->timeout_ms = timeout_ms;
  memcpy(key->point, point, sizeof key->point);
  return key;
}

struct tls_key *tls_key_retain(struct tls_key *key) {
  atomic_fetch_add(&key->references, 1);
  return key;
}

void tls_key_release(struct tls_key *key) {
  if (!key || atomic_fetch_sub(&key->references, 1) != 1) return;
  tss_context_release(key->context);
  free(key);
}

void tls_key_close(struct tls_key *key) { atomic_store(&key->closed, true); }

bool tls_key_uses(const struct tls_key *key, const struct tss_context *context) { return key->context == context; }

const uint8_t *tls_key_point(const struct tls_key *key) { return key->point; }

// One TPM2B of at most 32 bytes, left-padded; returns what follows, or NULL.
static const uint8_t *take_coordinate(const uint8_t *from, const uint8_t *end, uint8_t *to) {
  if (end - from < 2) return NULL;
  size_t length = (size_t)(from[0] << 8 | from[1]);
  from += 2;
  if (length > COORDINATE || (size_t)(end - from) < length) return NULL;
  memset(to, 0, COORDINATE - length);
  memcpy(to + COORDINATE - length, from, length);
  return from + length;
}

// TPMT_SIGNATURE: algorithm u16, hash u16, r, s.
static TSS2_RC read_signature(const struct tss_bytes *wire, uint8_t *r, uint8_t *s) {
  const uint8_t *end = wire->data + wire->length;
  const uint8_t *at = wire->length > 4 ? take_coordinate(wire->data + 4, end, r) : NULL;
  if (at) at = take_coordinate(at, end, s);
  return at == end ? TSS2_RC_SUCCESS : TSS2_ESYS_RC_MALFORMED_RESPONSE;
}

TSS2_RC tls_key_sign(struct tls_key *key, const uint8_t *digest, uint8_t *r, uint8_t *s) {
  static const uint8_t ecdsa_sha256[] = {TPM2_ALG_ECDSA >> 8, TPM2_ALG_ECDSA & 0xff, TPM2_ALG_SHA256 >> 8,
                                         TPM2_ALG_SHA256 & 0xff};
  if (atomic_load(&key->closed)) return TSS2_ESYS_RC_BAD_SEQUENCE;
  struct tss_job *job = tss_job_new(tss_command_named("sign"));
  if (!job) return TSS2_ESYS_RC_MEMORY;
  job->numbers[1] = key->object;
  if (!tss_job_buffer(job, 0, digest, COORDINATE) || !tss_job_buffer(job, 1, ecdsa_sha256, sizeof ecdsa_sha256)) {
    tss_job_free(job);
    return TSS2_ESYS_RC_MEMORY;
  }
  TSS2_RC rc = tss_run_blocking(key->context, job, key->timeout_ms);
  if (rc) return rc;
  rc = job->given_count == 1 ? read_signature(&job->given[0], r, s) : TSS2_ESYS_RC_MALFORMED_RESPONSE;
  tss_job_free(job);
  return rc;
}
