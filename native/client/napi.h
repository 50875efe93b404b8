// Adds the functions of the tunnel's client to the addon's exports.
#pragma once
#include <node_api.h>

void register_dataplane(napi_env env, napi_value exports);
