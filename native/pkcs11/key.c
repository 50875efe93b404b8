#include "key.h"
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Of what a URI names more than this is not looked at.
enum { MOST_OBJECTS = 16 };

// A library context of OpenSSL with the provider, for each module: beside Node's own, whose algorithms it must not replace. Each is kept, since
// a module can be initialised once in a process.
struct library {
  struct library *next;
  OSSL_LIB_CTX *context;
  char *provider, *module;
  bool used;  // it has given a key, which may live on
};

static pthread_mutex_t libraries_lock = PTHREAD_MUTEX_INITIALIZER;
static struct library *libraries;

// OpenSSL 3.0 passes a module's path to a provider in no other way than by a file of settings. Copies of a key in the session would be found beside
// it the next time.
static bool configure(OSSL_LIB_CTX *context, const char *provider, const char *module) {
  char path[32];
  int fd = memfd_create("enf-pkcs11", MFD_CLOEXEC);
  if (fd < 0) return false;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  bool ok = dprintf(fd,
                    "openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_provider\npkcs11 = pkcs11_provider\n"
                    "[default_provider]\nactivate = 1\n[pkcs11_provider]\nmodule = %s\n%s%s\npkcs11-module-cache-keys = false\nactivate = 1\n",
                    provider, *module == 0 ? "" : "pkcs11-module-path = ", module) > 0 &&
            OSSL_LIB_CTX_load_config(context, path) == 1 && OSSL_PROVIDER_available(context, "default") == 1 &&
            OSSL_PROVIDER_available(context, "pkcs11") == 1;
  close(fd);
  return ok;
}

static void library_free(struct library *library) {
  OSSL_LIB_CTX_free(library->context);
  free(library->provider);
  free(library->module);
  free(library);
}

static struct library *library_new(const char *provider, const char *module) {
  struct library *library = calloc(1, sizeof *library);
  if (library == NULL) return NULL;
  library->context = OSSL_LIB_CTX_new();
  library->provider = strdup(provider);
  library->module = strdup(module);
  if (library->context != NULL && library->provider != NULL && library->module != NULL && configure(library->context, provider, module)) return library;
  library_free(library);
  return NULL;
}

// Under the lock.
static struct library *library_of(const char *provider, const char *module) {
  struct library *library = libraries;
  while (library != NULL && (strcmp(library->provider, provider) != 0 || strcmp(library->module, module) != 0)) library = library->next;
  if (library == NULL && (library = library_new(provider, module)) != NULL) {
    library->next = libraries;
    libraries = library;
  }
  return library;
}

// Under the lock.
static void drop(struct library *library) {
  struct library **at = &libraries;
  while (*at != library) at = &(*at)->next;
  *at = library->next;
  library_free(library);
}

struct prompt {
  const char *pin;
  unsigned times;
};

// A token locks itself after a few wrong PINs: whoever asks again gets an empty one, which the provider takes for a refusal. Without any answer
// it would ask on the terminal.
static int give_pin(char *buffer, int size, int writing, void *data) {
  struct prompt *prompt = data;
  size_t length = strlen(prompt->pin);
  (void)writing;
  if (prompt->times++ > 0 || length >= (size_t)size) return 0;
  memcpy(buffer, prompt->pin, length);
  return (int)length;
}

struct found {
  EVP_PKEY *key;  // the first
  unsigned keys, objects;
};

static struct found search(OSSL_LIB_CTX *context, const char *uri, int expect, struct prompt *prompt) {
  struct found found = {0};
  OSSL_STORE_INFO *info;
  UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_pin, 0);
  OSSL_STORE_CTX *store = ui == NULL ? NULL : OSSL_STORE_open_ex(uri, context, "?provider=pkcs11", ui, prompt, NULL, NULL, NULL);
  if (store != NULL && (expect == 0 || OSSL_STORE_expect(store, expect) == 1)) {
    for (; found.objects < MOST_OBJECTS && (info = OSSL_STORE_load(store)) != NULL; found.objects++) {
      if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY && found.keys++ == 0) found.key = OSSL_STORE_INFO_get1_PKEY(info);
      OSSL_STORE_INFO_free(info);
    }
  }
  OSSL_STORE_close(store);
  UI_destroy_method(ui);
  return found;
}

// The last error of a provider, in its words; "" if there is none. Takes all errors off the list.
static void describe(char *text) {
  const char *data;
  int flags;
  for (unsigned long error; (error = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0;) {
    if (ERR_GET_LIB(error) < ERR_LIB_USER || ERR_SYSTEM_ERROR(error)) continue;
    const char *reason = (flags & ERR_TXT_STRING) != 0 && data != NULL && *data != 0 ? data : ERR_reason_error_string(error);
    snprintf(text, PKCS11_TEXT, "%s, 0x%x", reason == NULL ? "error" : reason, (unsigned)ERR_GET_REASON(error));
  }
}

// Why there is no key. The provider leaves no error where it was refused, so that it is asked again, without a PIN: a token that then asks for one
// has refused the first.
static enum pkcs11_wrong reason_of(OSSL_LIB_CTX *context, const struct pkcs11_request *request, bool asked) {
  struct prompt prompt = {"", 0};
  if (asked && *request->pin == 0) return PKCS11_WRONG_NO_PIN;
  struct found found = asked ? search(context, request->uri, OSSL_STORE_INFO_PKEY, &prompt) : search(context, request->token, 0, &prompt);
  EVP_PKEY_free(found.key);
  if (asked) return prompt.times > 0 ? PKCS11_WRONG_PIN : PKCS11_WRONG_KEY;
  return found.objects > 0 || prompt.times > 0 ? PKCS11_WRONG_KEY : PKCS11_WRONG_TOKEN;
}

static EVP_PKEY *load_from(OSSL_LIB_CTX *context, const struct pkcs11_request *request, enum pkcs11_wrong *wrong, char *text) {
  struct prompt prompt = {request->pin, 0};
  ERR_clear_error();
  struct found found = search(context, request->uri, OSSL_STORE_INFO_PKEY, &prompt);
  describe(text);
  if (found.keys > 1) *wrong = PKCS11_WRONG_SEVERAL;
  else if (found.key == NULL) *wrong = reason_of(context, request, prompt.times > 0);
  else *wrong = X509_check_private_key(request->certificate, found.key) == 1 ? PKCS11_FINE : PKCS11_WRONG_CERTIFICATE;
  if (*wrong == PKCS11_FINE) return found.key;
  EVP_PKEY_free(found.key);
  return NULL;
}

EVP_PKEY *pkcs11_load(const struct pkcs11_request *request, enum pkcs11_wrong *wrong, char *text) {
  EVP_PKEY *key = NULL;
  *text = 0;
  ERR_clear_error();
  // One at a time: the login is the token's, for all of the process.
  pthread_mutex_lock(&libraries_lock);
  struct library *library = library_of(request->provider, request->module);
  if (library != NULL) {
    key = load_from(library->context, request, wrong, text);
    library->used = library->used || key != NULL;
    // A provider that could not initialise its module would never try again.
    if (*wrong == PKCS11_WRONG_TOKEN && *text != 0 && !library->used) drop(library);
  } else {
    *wrong = PKCS11_WRONG_PROVIDER;
    describe(text);
  }
  pthread_mutex_unlock(&libraries_lock);
  ERR_clear_error();
  return key;
}
