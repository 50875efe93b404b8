// Adds the acceptor's functions to the addon's exports.
#pragma once
#include <node_api.h>

void register_acceptor(napi_env env, napi_value exports);
