#include "handle.h"

static void on_finalized(napi_env env, void *data, void *release) {
  (void)env;
  ((void (*)(void *))release)(data);
}

napi_value handle_new(napi_env env, const napi_type_tag *tag, void *data, void (*release)(void *data)) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, tag) != napi_ok ||
      napi_wrap(env, object, data, on_finalized, (void *)release, NULL) != napi_ok) {
    release(data);
    napi_throw_error(env, NULL, "no memory for a handle");
    return NULL;
  }
  return object;
}

void *handle_data(napi_env env, napi_value value, const napi_type_tag *tag) {
  napi_valuetype type;
  bool ours = false;
  void *data = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return NULL;
  if (napi_check_object_type_tag(env, value, tag, &ours) != napi_ok || !ours) return NULL;
  return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}
