// Adds the functions of ECDAA, and of the curve, to the addon's exports. Absent where the compiler has no 128-bit integers.
#pragma once
#include <node_api.h>

void register_ecdaa(napi_env env, napi_value exports);
// Of those, the ones behind HostArithmetic (protocol/crypto).
void register_host_arithmetic(napi_env env, napi_value exports);
