// Adds the functions of the handshake's server to the addon's exports.
#pragma once
#include <node_api.h>

void register_xtt(napi_env env, napi_value exports);
