// What a certificate says, as JavaScript sees it (pki.ts).
#pragma once
#include "facts.h"
#include <node_api.h>

napi_value pki_describe(napi_env env, const struct pki_facts *facts);
