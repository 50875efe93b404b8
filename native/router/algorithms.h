// The algorithms of the router's TLS.
#pragma once
#include <openssl/crypto.h>
#include <stdbool.h>

// A library context that is made once and stays; NULL, which is OpenSSL's default context, if that cannot be, or only certified algorithms may be used (FIPS).
OSSL_LIB_CTX *router_algorithms(void);
