// A C structure that JavaScript holds as an opaque object, recognised by its type tag.
#pragma once
#include "arguments.h"

// An object that owns `data`; `release` frees it when JavaScript has released it or the environment ends.
// NULL with a JavaScript exception pending (and `data` released) if that fails.
napi_value handle_new(napi_env env, const napi_type_tag *tag, void *data, void (*release)(void *data));
// The structure behind `value`, or NULL (and no exception) if it is not an object of this kind.
void *handle_data(napi_env env, napi_value value, const napi_type_tag *tag);
