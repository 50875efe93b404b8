// Adds the functions of files to the addon's exports.
#pragma once
#include <node_api.h>

void register_files(napi_env env, napi_value exports);
