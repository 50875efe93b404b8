// Keys in PKCS#11 tokens for JavaScript (pkcs11.ts).
#pragma once
#include "addon/arguments.h"
#include <openssl/evp.h>

void register_pkcs11(napi_env env, napi_value exports);
// The key behind a handle that pkcs11Load gave, which the handle owns; NULL (and no exception) if it is none.
EVP_PKEY *pkcs11_key_of(napi_env env, napi_value value);
