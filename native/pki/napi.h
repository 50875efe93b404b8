// Adds what reads and judges certificates to the addon's exports.
#pragma once
#include <node_api.h>

void register_pki(napi_env env, napi_value exports);
