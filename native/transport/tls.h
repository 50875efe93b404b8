// OpenSSL for the data plane: the node binary's own, so that the TPM's key (provider.h) works here, too.
#pragma once
#include "packet/frame.h"
#include <openssl/ssl.h>
#include <string.h>

// What a client needs for its handshakes.
struct dp_tls_client {
  SSL_CTX *context;
  SSL_SESSION *session;  // to be resumed by the next connection
  char *names;           // one in each line; NULL: none is checked
};

enum dp_tls_wrong { DP_TLS_FINE, DP_TLS_BAD_ROOT, DP_TLS_BAD_CREDENTIALS };

// TLS 1.2 or 1.3 with this identity, and no other server than one that leads to one of the PEM certificates in `roots`. `super` offers
// super-frames by ALPN. With `names`, one in each line, the server's certificate must have one of them (no "*.", no CN) and serverAuth
// among its usages. `key` is a PEM, perhaps one that only names a key in the TPM;
// `token_key`, if it is not NULL, is used instead, and stays the caller's. `reason` has DP_REASON bytes.
enum dp_tls_wrong dp_tls_client_open(struct dp_tls_client *client, const char *roots, const uint8_t *certificate,
                                     size_t certificate_length, const char *key, EVP_PKEY *token_key, bool super,
                                     const char *names, char *reason);
// True for the result of a verification that failed over the name or the usage alone.
bool dp_tls_is_name(long verified);
void dp_tls_client_close(struct dp_tls_client *client);
// A connection over the socket that resumes the last session if there was one. `*client` must stay where it is until the connection
// is gone. NULL without memory. The socket stays the caller's.
SSL *dp_tls_client_connect(struct dp_tls_client *client, int fd);

// Settings that both ends share: what SSL_write and SSL_read may do, and kernel TLS where the build and the kernel have it.
void dp_tls_prepare(SSL_CTX *context);
// Connects `ssl` with the socket, which stays the caller's.
bool dp_tls_attach(SSL *ssl, int fd);
// Is it that name of ALPN?
static inline bool dp_tls_is_alpn(const unsigned char *name, size_t length, const char *known) {
  return length == strlen(known) && memcmp(name, known, length) == 0;
}
// What ALPN has selected.
enum dp_wire dp_tls_wire(const SSL *ssl);

enum { DP_REASON = 160 };
// OpenSSL's or the system's error text for the call that returned `result`; empties OpenSSL's queue of errors.
void dp_tls_reason(const SSL *ssl, int result, char *reason);
