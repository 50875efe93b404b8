#include "judge.h"
#include "key.h"
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECURITY_LEVEL = 2 };  // 112 bits: no SHA-1, no RSA below 2,048 bits

STACK_OF(X509) *pki_read_list(const uint8_t *der, size_t length, int most) {
  STACK_OF(X509) *list = sk_X509_new_null();
  const uint8_t *at = der;
  while (list != NULL && at < der + length) {
    X509 *next = sk_X509_num(list) < most ? d2i_X509(NULL, &at, (long)(der + length - at)) : NULL;
    if (next != NULL && sk_X509_push(list, next) > 0) continue;
    X509_free(next);
    sk_X509_pop_free(list, X509_free);
    list = NULL;
  }
  ERR_clear_error();
  return list;
}

int64_t pki_seconds(const ASN1_TIME *time) {
  struct tm parts;
  return time != NULL && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

bool pki_serial_of(const ASN1_INTEGER *number, uint8_t serial[PKI_SERIAL], size_t *length) {
  BIGNUM *value = number == NULL ? NULL : ASN1_INTEGER_to_BN(number, NULL);
  bool ok = value != NULL && !BN_is_negative(value) && BN_num_bytes(value) <= PKI_SERIAL;
  *length = ok ? (size_t)BN_bn2bin(value, serial) : 0;
  BN_free(value);
  return ok;
}

bool pki_hash_name(const X509_NAME *name, uint8_t hash[PKI_HASH]) {
  unsigned length = PKI_HASH;
  return X509_NAME_digest(name, EVP_sha256(), hash, &length) == 1;
}

bool pki_name_of(const X509 *certificate, struct pki_name *name) {
  return pki_hash_name(X509_get_issuer_name(certificate), name->issuer) &&
         pki_serial_of(X509_get0_serialNumber(certificate), name->serial, &name->serial_length);
}

static void refuse(struct pki_judgement *judgement, const char *why) {
  judgement->ok = false;
  snprintf(judgement->text, sizeof judgement->text, "%s", why);
}

// What a chain that was verified says.
static void describe(STACK_OF(X509) *chain, struct pki_judgement *judgement) {
  int count = sk_X509_num(chain);
  bool constrained = false;
  int64_t above = INT64_MAX;
  for (int i = count - 1; i >= 0; i--) {
    X509 *certificate = sk_X509_value(chain, i);
    int64_t ends = pki_seconds(X509_get0_notAfter(certificate));
    if (!pki_sound_key(X509_get0_pubkey(certificate))) {
      refuse(judgement, "a key of the chain is of another kind, or too weak");
      return;
    }
    if (i < count - 1 && !pki_name_of(certificate, &judgement->names[i])) {
      refuse(judgement, "a serial number of the chain is too long");
      return;
    }
    if (ends < above) above = ends;
    if (i >= 2 && X509_get_ext_by_NID(certificate, NID_name_constraints, -1) >= 0) constrained = true;
    if (i == 1) judgement->via_until = above;
  }
  judgement->ok = true;
  judgement->until = above;
  judgement->count = (size_t)(count - 1);
  if (count < 3 || constrained) return;
  uint8_t *der = NULL;
  int length = i2d_X509(sk_X509_value(chain, 1), &der);
  if (length > 0 && (judgement->via = malloc((size_t)length)) != NULL) {
    memcpy(judgement->via, der, (size_t)length);
    judgement->via_length = (size_t)length;
  }
  if (length > 0) OPENSSL_free(der);
}

static bool prepare(X509_STORE_CTX *context, int64_t now) {
  X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, (time_t)now);
  X509_VERIFY_PARAM_set_depth(parameters, PKI_DEPTH);
  X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_LEVEL);
  // An intermediate may be an anchor. Not X509_V_FLAG_X509_STRICT: roots without keyUsage are in use.
  return X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
         X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_CLIENT) == 1;
}

void pki_judge(X509 *leaf, STACK_OF(X509) *others, STACK_OF(X509) *anchors, int64_t now, struct pki_judgement *judgement) {
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *context = X509_STORE_CTX_new();
  memset(judgement, 0, sizeof *judgement);
  bool ready = store != NULL && context != NULL;
  for (int i = 0; ready && i < sk_X509_num(anchors); i++) ready = X509_STORE_add_cert(store, sk_X509_value(anchors, i)) == 1;
  ready = ready && X509_STORE_CTX_init(context, store, leaf, others) == 1 && prepare(context, now);
  if (!ready) refuse(judgement, "out of memory");
  else if (!pki_sound_key(X509_get0_pubkey(leaf))) refuse(judgement, "its key is of another kind, or too weak");
  else if (X509_verify_cert(context) != 1) refuse(judgement, X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
  else describe(X509_STORE_CTX_get0_chain(context), judgement);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  ERR_clear_error();
}
