// Adds the tunnel router's functions to the addon's exports.
#pragma once
#include <node_api.h>

void register_router(napi_env env, napi_value exports);
