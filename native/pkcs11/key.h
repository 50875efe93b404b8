// Private keys in PKCS#11 tokens, by OpenSSL's store and the provider for it (pkcs11-provider), a shared object that is installed beside OpenSSL.
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>

// The longest PIN that the provider takes, and the longest reason.
enum { PKCS11_PIN = 32, PKCS11_TEXT = 200 };

// Each outcome but the first with its name in JavaScript (pkcs11.ts says what it means).
#define PKCS11_WRONG(X)           \
  X(PROVIDER, "provider")         \
  X(TOKEN, "token")               \
  X(NO_PIN, "no-pin")             \
  X(PIN, "pin")                   \
  X(KEY, "key")                   \
  X(SEVERAL, "several")           \
  X(CERTIFICATE, "certificate")

enum pkcs11_wrong {
  PKCS11_FINE,
#define PKCS11_KIND(kind, name) PKCS11_WRONG_##kind,
  PKCS11_WRONG(PKCS11_KIND)
#undef PKCS11_KIND
};

struct pkcs11_request {
  const char *uri, *token;         // of the key, and of its token alone
  const char *provider, *module;   // paths; `module`: "" is the provider's own choice
  const char *pin;                 // "": there is none
  X509 *certificate;
};

// Loads the key, which the caller frees; else NULL, what was wrong, and `text` (PKCS11_TEXT bytes) in the provider's words, perhaps empty. The
// PIN is given once at most. Blocks as long as the token does.
EVP_PKEY *pkcs11_load(const struct pkcs11_request *request, enum pkcs11_wrong *wrong, char *text);
