// What every part of the addon shares: argument checks that end in a JavaScript exception, errors, and results.
#pragma once
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Adds one function to exports.
void addon_function(napi_env env, napi_value exports, const char *name, napi_callback callback);
// Throws a TypeError and returns NULL, so that a callback can `return addon_bad(env, "…")`.
napi_value addon_bad(napi_env env, const char *message);
// An Error with a `code` such as "EPERM" from an errno, e.g. "opening /dev/net/tun: Operation not permitted".
napi_value addon_error(napi_env env, int error, const char *doing);
// Throws that Error and returns NULL.
napi_value addon_errno(napi_env env, int error, const char *doing);
// Read one argument; false (and no exception) if it is not of that kind or does not fit.
bool addon_u32(napi_env env, napi_value value, uint32_t *out);
bool addon_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length);
bool addon_text(napi_env env, napi_value value, char *out, size_t capacity);
// A copy of a string, to be freed, and its length in bytes; NULL (and no exception) if it is none, has a NUL in it, or without memory.
char *addon_copy_text(napi_env env, napi_value value, size_t *length);
// Reads the first `count` arguments, at most ADDON_MAX_BYTES, which must all be Uint8Arrays.
enum { ADDON_MAX_BYTES = 5 };
struct addon_bytes {
  uint8_t *data;
  size_t length;
};
bool addon_all_bytes(napi_env env, napi_callback_info info, struct addon_bytes *out, size_t count);
// JavaScript's undefined.
napi_value addon_undefined(napi_env env);
// A Uint8Array of its own with a copy of the bytes; NULL with an exception pending if there is no memory.
napi_value addon_new_bytes(napi_env env, const uint8_t *data, size_t length);
// A number and a text for JavaScript; NULL without memory.
napi_value addon_new_number(napi_env env, double value);
napi_value addon_new_text(napi_env env, const char *value);
// Sets a member of an object, unless `value` is NULL.
void addon_set(napi_env env, napi_value object, const char *name, napi_value value);
