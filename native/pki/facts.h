// What a certificate says of whoever shows it.
#pragma once
#include "judge.h"

enum { PKI_ADDRESS = 16, PKI_ADDRESSES = 2, PKI_SUBJECT = 1024, PKI_COMMON_NAME = 64 };

// Times in seconds since 1970; 0: it cannot be told.
struct pki_facts {
  struct pki_name name;
  uint8_t addresses[PKI_ADDRESSES * PKI_ADDRESS];  // the first IPv6 addresses of its alternative names
  size_t address_count;                            // of these
  char common_name[PKI_COMMON_NAME];               // the first one; empty: none, or one that is too long
  char subject[PKI_SUBJECT];                       // RFC 2253
  uint8_t subject_hash[PKI_HASH];                  // SHA-256 of its DER
  uint8_t spki[PKI_HASH];                          // SHA-256 of the SubjectPublicKeyInfo
  int64_t not_before, not_after;
  bool authority;  // may it sign others?
  bool key_usage;  // does it say what its key is for?
  bool sound;      // is its key one that is taken?
};

// False if its serial number is negative or too long, or its subject is.
bool pki_facts_of(X509 *certificate, struct pki_facts *facts);
