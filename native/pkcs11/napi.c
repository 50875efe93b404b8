// A token may take seconds: keys are loaded on libuv's threads.
#include "napi.h"
#include "addon/handle.h"
#include "key.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { URI, TOKEN, PROVIDER, MODULE, TEXTS };

static const napi_type_tag PKCS11_KEY = {0x3f7a1c58e2d94b06, 0xb16e90d4a7385cf2};

static const char *const WRONG[] = {
#define NAME(kind, name) [PKCS11_WRONG_##kind] = name,
    PKCS11_WRONG(NAME)
#undef NAME
};

struct work {
  napi_async_work work;
  napi_deferred deferred;
  char *texts[TEXTS];
  char pin[PKCS11_PIN + 1];
  X509 *certificate;
  EVP_PKEY *key;
  enum pkcs11_wrong wrong;
  char text[PKCS11_TEXT];
};

static void free_work(struct work *work) {
  for (int i = 0; i < TEXTS; i++) free(work->texts[i]);
  X509_free(work->certificate);
  EVP_PKEY_free(work->key);
  explicit_bzero(work->pin, sizeof work->pin);
  free(work);
}

static void load(napi_env env, void *data) {
  struct work *work = data;
  struct pkcs11_request request = {work->texts[URI], work->texts[TOKEN], work->texts[PROVIDER], work->texts[MODULE], work->pin, work->certificate};
  (void)env;
  work->key = pkcs11_load(&request, &work->wrong, work->text);
}

static void release_key(void *key) { EVP_PKEY_free(key); }

static void finish(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  napi_value object;
  if (status == napi_ok && napi_create_object(env, &object) == napi_ok) {
    if (work->key == NULL) {
      addon_set(env, object, "wrong", addon_new_text(env, WRONG[work->wrong]));
      addon_set(env, object, "text", addon_new_text(env, work->text));
    } else {
      addon_set(env, object, "key", handle_new(env, &PKCS11_KEY, work->key, release_key));
      work->key = NULL;
    }
    napi_resolve_deferred(env, work->deferred, object);
  } else {
    napi_reject_deferred(env, work->deferred, addon_error(env, ENOMEM, "loading a key"));
  }
  napi_delete_async_work(env, work->work);
  free_work(work);
}

static bool read_arguments(napi_env env, const napi_value *arguments, struct work *work) {
  uint8_t *pin, *certificate;
  size_t length;
  for (int i = 0; i < TEXTS; i++)
    if ((work->texts[i] = addon_copy_text(env, arguments[i], &length)) == NULL) return false;
  if (!addon_bytes(env, arguments[TEXTS], &pin, &length) || length > PKCS11_PIN || memchr(pin, 0, length) != NULL) return false;
  if (length > 0) memcpy(work->pin, pin, length);
  if (!addon_bytes(env, arguments[TEXTS + 1], &certificate, &length)) return false;
  const uint8_t *at = certificate;
  work->certificate = d2i_X509(NULL, &at, (long)length);
  return work->certificate != NULL;
}

// pkcs11Load(uri, token, provider, module, pin, certificate)
static napi_value load_call(napi_env env, napi_callback_info info) {
  napi_value arguments[TEXTS + 2], promise;
  size_t count = TEXTS + 2;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct work *work = calloc(1, sizeof *work);
  if (work == NULL) return addon_errno(env, ENOMEM, "loading a key");
  if (!read_arguments(env, arguments, work)) {
    free_work(work);
    return addon_bad(env, "pkcs11Load(uri, token, provider, module, pin, certificate): expected four texts, at most 32 bytes without a zero, and DER");
  }
  if (napi_create_promise(env, &work->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, NULL, addon_new_text(env, "enf.pkcs11"), load, finish, work, &work->work) != napi_ok ||
      napi_queue_async_work(env, work->work) != napi_ok) {
    free_work(work);
    return addon_errno(env, ENOMEM, "loading a key");
  }
  return promise;
}

EVP_PKEY *pkcs11_key_of(napi_env env, napi_value value) { return handle_data(env, value, &PKCS11_KEY); }

void register_pkcs11(napi_env env, napi_value exports) { addon_function(env, exports, "pkcs11Load", load_call); }
