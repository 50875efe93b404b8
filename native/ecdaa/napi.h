// What the two JavaScript faces of the ECDAA part share.
#pragma once
#include "addon/arguments.h"

#define MAX_ARGUMENTS 5

struct bytes {
  uint8_t *data;
  size_t length;
};
// Reads `count` arguments, at most MAX_ARGUMENTS, that must all be Uint8Arrays.
bool ecdaa_arguments(napi_env env, napi_callback_info info, struct bytes *r, size_t count);
// A new Uint8Array.
napi_value ecdaa_array(napi_env env, const uint8_t *bytes, size_t length);
napi_value ecdaa_undefined(napi_env env);

// Adds the curve's own operations.
void register_fp256bn(napi_env env, napi_value exports);
