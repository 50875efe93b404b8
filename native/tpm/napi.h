// Adds the TPM part's functions to the addon's exports.
#pragma once
#include <node_api.h>

void register_tss(napi_env env, napi_value exports);
