// Adds the functions of OpenSSL's curves and hashes to the addon's exports.
#pragma once
#include <node_api.h>

void register_p256(napi_env env, napi_value exports);
void register_x25519(napi_env env, napi_value exports);
void register_hashes(napi_env env, napi_value exports);
