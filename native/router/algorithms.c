// What TLS with devices takes of OpenSSL, in a library context of its own. To read the key of a certificate, OpenSSL 3 goes through all algorithms
// that a context has, and looks names of them up: with those of the default provider, some hundreds, that took longer than to verify a signature.
#include "algorithms.h"
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { MOST = 8 };

// Of each kind those that the settings of TLS (tls.c), and the keys of certificates (pki/key.h), leave.
static struct kind {
  int operation;
  const char *names[MOST], *property;
  OSSL_ALGORITHM chosen[MOST + 1];
} kinds[] = {
    {OSSL_OP_DIGEST, {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"}, "", {{0}}},
    {OSSL_OP_CIPHER, {"AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305"}, "", {{0}}},
    {OSSL_OP_MAC, {"HMAC"}, "", {{0}}},
    {OSSL_OP_KDF, {"HKDF", "TLS13-KDF", "TLS1-PRF"}, "", {{0}}},
    {OSSL_OP_KEYMGMT, {"EC", "X25519", "ED25519", "RSA", "RSA-PSS"}, "", {{0}}},
    {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}, "", {{0}}},
    {OSSL_OP_SIGNATURE, {"ECDSA", "ED25519", "RSA"}, "", {{0}}},
    {OSSL_OP_DECODER, {"EC", "ED25519", "RSA", "RSA-PSS"}, "structure=SubjectPublicKeyInfo", {{0}}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static OSSL_LIB_CTX *inner, *outer;
static OSSL_PROVIDER *all;

// Names of an algorithm stand one behind the other with colons between; the first one counts.
static bool is_named(const OSSL_ALGORITHM *algorithm, const char *name) {
  size_t length = strcspn(algorithm->algorithm_names, ":");
  return strlen(name) == length && strncmp(algorithm->algorithm_names, name, length) == 0;
}

static const OSSL_ALGORITHM *find(const OSSL_ALGORITHM *from, const char *name, const char *property) {
  for (; from != NULL && from->algorithm_names != NULL; from++)
    if (is_named(from, name) && strstr(from->property_definition, property) != NULL) return from;
  return NULL;
}

static bool choose(struct kind *kind) {
  int unused;
  const OSSL_ALGORITHM *offered = OSSL_PROVIDER_query_operation(all, kind->operation, &unused);
  for (size_t i = 0; i < MOST && kind->names[i] != NULL; i++) {
    const OSSL_ALGORITHM *found = find(offered, kind->names[i], kind->property);
    if (found == NULL) return false;
    kind->chosen[i] = *found;
  }
  return true;
}

static bool choose_all(void) {
  for (size_t i = 0; i < KINDS; i++)
    if (!choose(&kinds[i])) return false;
  return true;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
  (void)context;
  for (size_t i = 0; i < KINDS; i++) {
    if (kinds[i].operation != operation) continue;
    *no_cache = 0;
    return kinds[i].chosen;
  }
  return OSSL_PROVIDER_query_operation(all, operation, no_cache);
}

static int capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *argument) {
  (void)context;
  return OSSL_PROVIDER_get_capabilities(all, capability, callback, argument);
}

static const OSSL_DISPATCH CALLS[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
    {0, NULL},
};

// A provider with the default one's implementations, which lives in a context of its own.
static int begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context) {
  (void)handle;
  (void)in;
  *out = CALLS;
  *context = OSSL_PROVIDER_get0_provider_ctx(all);
  return 1;
}

static void make(void) {
  static const char *const name = "enf-router";
  if (EVP_default_properties_is_fips_enabled(NULL)) return;
  inner = OSSL_LIB_CTX_new();
  OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
  all = inner == NULL ? NULL : OSSL_PROVIDER_load(inner, "default");
  if (made != NULL && all != NULL && choose_all() && OSSL_PROVIDER_add_builtin(made, name, begin) == 1 && OSSL_PROVIDER_load(made, name) != NULL)
    outer = made;
  else OSSL_LIB_CTX_free(made);
}

OSSL_LIB_CTX *router_algorithms(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make);
  return outer;
}
