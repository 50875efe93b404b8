// Registers the provider with OpenSSL, for the whole process.
#include "provider.h"
#include <openssl/provider.h>

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static OSSL_PROVIDER *loaded;

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
  (void)context;
  *no_cache = 0;
  switch (operation) {
    case OSSL_OP_KEYMGMT: return provider_keymgmt;
    case OSSL_OP_SIGNATURE: return provider_signature;
    case OSSL_OP_DECODER: return provider_decoder;
    default: return NULL;
  }
}

static const OSSL_DISPATCH provider_functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
                                                   {0, NULL}};

static int initialise(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                      void **context) {
  for (; in->function_id; in++)
    if (in->function_id == OSSL_FUNC_BIO_READ_EX) provider_decoder_use(OSSL_FUNC_BIO_read_ex(in));
  *out = provider_functions;
  *context = (void *)handle;
  return 1;
}

// Loading any provider by name switches the implicit loading of "default" off: load it, too, or ordinary TLS breaks.
// Under the lock.
static bool load(void) {
  if (loaded) return true;
  if (!OSSL_PROVIDER_load(NULL, "default") || !OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, initialise)) return false;
  loaded = OSSL_PROVIDER_load(NULL, PROVIDER_NAME);
  return loaded != NULL;
}

const char *provider_register(struct tss_context *context, uint32_t object, const uint8_t *point, uint32_t timeout_ms,
                              uint32_t *id, char *pem) {
  pthread_mutex_lock(&load_lock);
  bool ready = load();
  pthread_mutex_unlock(&load_lock);
  if (!ready) return "OpenSSL did not take the TPM provider";
  struct tls_key *key = tls_key_new(context, object, point, timeout_ms);
  if (!key) return "out of memory";
  const char *wrong = provider_keys_add(key, id, pem);
  tls_key_release(key);
  return wrong;
}
