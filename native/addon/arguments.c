#include "arguments.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void addon_function(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
  napi_set_named_property(env, exports, name, function);
}

napi_value addon_bad(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

napi_value addon_error(napi_env env, int error, const char *doing) {
  char message[256];
  snprintf(message, sizeof message, "%s: %s", doing, strerror(error));
  const char *name = strerrorname_np(error);
  napi_value code, text, result;
  napi_create_string_utf8(env, name ? name : "EUNKNOWN", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_error(env, code, text, &result);
  return result;
}

napi_value addon_errno(napi_env env, int error, const char *doing) {
  napi_throw(env, addon_error(env, error, doing));
  return NULL;
}

bool addon_u32(napi_env env, napi_value value, uint32_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(number >= 0 && number <= 4294967295.0) || number != (double)(uint32_t)number) return false;
  *out = (uint32_t)number;
  return true;
}

bool addon_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  bool typed = false;
  if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed) return false;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) != napi_ok) return false;
  return type == napi_uint8_array;
}

bool addon_all_bytes(napi_env env, napi_callback_info info, struct addon_bytes *out, size_t count) {
  napi_value arguments[ADDON_MAX_BYTES];
  size_t given = count;
  if (count > ADDON_MAX_BYTES || napi_get_cb_info(env, info, &given, arguments, NULL, NULL) != napi_ok || given < count) return false;
  for (size_t i = 0; i < count; i++) {
    if (!addon_bytes(env, arguments[i], &out[i].data, &out[i].length)) return false;
  }
  return true;
}

bool addon_text(napi_env env, napi_value value, char *out, size_t capacity) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length + 1 > capacity) return false;
  if (napi_get_value_string_utf8(env, value, out, capacity, &length) != napi_ok) return false;
  return strlen(out) == length;  // no embedded NUL
}

char *addon_copy_text(napi_env env, napi_value value, size_t *length) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok) return NULL;
  char *copy = malloc(*length + 1);
  if (copy != NULL && napi_get_value_string_utf8(env, value, copy, *length + 1, length) == napi_ok && strlen(copy) == *length)
    return copy;
  free(copy);
  return NULL;
}

napi_value addon_undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value addon_new_bytes(napi_env env, const uint8_t *data, size_t length) {
  napi_value buffer, array;
  void *memory;
  if (napi_create_arraybuffer(env, length, &memory, &buffer) != napi_ok) return NULL;
  if (length > 0) memcpy(memory, data, length);
  return napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array) == napi_ok ? array : NULL;
}

napi_value addon_new_number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

napi_value addon_new_text(napi_env env, const char *value) {
  napi_value result = NULL;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

void addon_set(napi_env env, napi_value object, const char *name, napi_value value) {
  if (value != NULL) napi_set_named_property(env, object, name, value);
}
