// What calls of JavaScript that OpenSSL computes have in common: an argument of a fixed length, and what cannot fail and has failed.
#pragma once
#include "addon/arguments.h"
#include <openssl/err.h>

// OpenSSL did what cannot fail on well-formed arguments: no memory, or a build without the algorithm. Throws an Error and returns NULL.
static inline napi_value broken(napi_env env, const char *doing) {
  ERR_clear_error();
  napi_throw_error(env, NULL, doing);
  return NULL;
}

// Reads one argument; false (and no exception) if it is no Uint8Array of `wanted` bytes.
static inline bool exactly(napi_env env, napi_value value, uint8_t **data, size_t wanted) {
  size_t length = 0;
  return addon_bytes(env, value, data, &length) && length == wanted;
}
