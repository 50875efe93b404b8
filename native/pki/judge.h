// Whether a chain of certificates leads to one of some anchors. Holds no state; any thread may judge.
#pragma once
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PKI_DEPTH = 4, PKI_SERIAL = 20, PKI_HASH = 32, PKI_TEXT = 128 };

// A certificate as its issuer's list of revoked ones names it.
struct pki_name {
  uint8_t issuer[PKI_HASH];  // SHA-256 of the issuer's name in DER
  uint8_t serial[PKI_SERIAL];
  size_t serial_length;  // without zeros in front; 0 for the serial number zero
};

struct pki_judgement {
  bool ok;
  char text[PKI_TEXT];  // if not: why, in OpenSSL's words
  int64_t until;        // seconds since 1970: when the first certificate of the chain expires
  struct pki_name names[PKI_DEPTH + 2];  // of the chain below its anchor, the peer's first
  size_t count;
  // The issuer's certificate, DER, if another one vouches for it and nothing above it constrains what it signs: then whoever shows a certificate of
  // the same issuer may be judged by that alone until `via_until`. Else NULL.
  uint8_t *via;
  size_t via_length;
  int64_t via_until;
};

// Reads up to `most` certificates, DER one behind the other. NULL if anything else is there.
STACK_OF(X509) *pki_read_list(const uint8_t *der, size_t length, int most);
// Seconds since 1970; 0 if it cannot be told.
int64_t pki_seconds(const ASN1_TIME *time);
// False if the serial number has more than 20 bytes or is negative.
bool pki_name_of(const X509 *certificate, struct pki_name *name);
bool pki_serial_of(const ASN1_INTEGER *number, uint8_t serial[PKI_SERIAL], size_t *length);
bool pki_hash_name(const X509_NAME *name, uint8_t hash[PKI_HASH]);
// `now` in seconds since 1970. `judgement->via` is the caller's to free.
void pki_judge(X509 *leaf, STACK_OF(X509) *others, STACK_OF(X509) *anchors, int64_t now, struct pki_judgement *judgement);
