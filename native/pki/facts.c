#include "facts.h"
#include "key.h"
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

static void read_addresses(X509 *certificate, struct pki_facts *facts) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && facts->address_count < PKI_ADDRESSES; i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_IPADD || ASN1_STRING_length(name->d.iPAddress) != PKI_ADDRESS) continue;
    memcpy(facts->addresses + facts->address_count++ * PKI_ADDRESS, ASN1_STRING_get0_data(name->d.iPAddress), PKI_ADDRESS);
  }
  GENERAL_NAMES_free(names);
}

// RFC 2253, as `openssl x509 -nameopt RFC2253` prints it. False if it is longer than the room for it.
static bool read_subject(const X509 *certificate, char out[PKI_SUBJECT]) {
  BIO *text = BIO_new(BIO_s_mem());
  bool ok = text != NULL && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0;
  int length = ok ? BIO_read(text, out, PKI_SUBJECT - 1) : -1;
  ok = ok && length < PKI_SUBJECT - 1;
  out[ok && length > 0 ? length : 0] = 0;
  BIO_free(text);
  return ok;
}

static void read_common_name(const X509 *certificate, char out[PKI_COMMON_NAME]) {
  const X509_NAME *name = X509_get_subject_name(certificate);
  int first = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1);
  uint8_t *text = NULL;
  int length = first < 0 ? -1 : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first)));
  if (length > 0 && length < PKI_COMMON_NAME && memchr(text, 0, (size_t)length) == NULL) memcpy(out, text, (size_t)length);
  if (length >= 0) OPENSSL_free(text);
}

static bool hash_spki(const X509 *certificate, uint8_t out[PKI_HASH]) {
  uint8_t *der = NULL;
  unsigned size = PKI_HASH;
  int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  bool ok = length > 0 && EVP_Digest(der, (size_t)length, out, &size, EVP_sha256(), NULL) == 1;
  if (length > 0) OPENSSL_free(der);
  return ok;
}

bool pki_facts_of(X509 *certificate, struct pki_facts *facts) {
  memset(facts, 0, sizeof *facts);
  if (!pki_name_of(certificate, &facts->name) || !hash_spki(certificate, facts->spki) || !read_subject(certificate, facts->subject) ||
      !pki_hash_name(X509_get_subject_name(certificate), facts->subject_hash))
    return false;
  read_addresses(certificate, facts);
  read_common_name(certificate, facts->common_name);
  facts->not_before = pki_seconds(X509_get0_notBefore(certificate));
  facts->not_after = pki_seconds(X509_get0_notAfter(certificate));
  facts->authority = X509_check_ca(certificate) > 0;
  facts->key_usage = (X509_get_extension_flags(certificate) & EXFLAG_KUSAGE) != 0;
  facts->sound = pki_sound_key(X509_get0_pubkey(certificate));
  return true;
}
