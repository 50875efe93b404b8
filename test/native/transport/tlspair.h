// Two ends of a TLS connection over a pair of sockets, of which the near one takes little at a time.
#pragma once
#include "../../../native/transport/pipe.h"
#include "../check.h"
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALL_BUFFER = 20000 };

struct tlspair {
  SSL_CTX *contexts[2];
  SSL *near, *far;
  int fds[2];
};

struct tlsidentity {
  EVP_PKEY *key;
  X509 *certificate;
};

static inline struct tlsidentity tlspair_identity(void) {
  struct tlsidentity identity = {EVP_EC_gen("P-256"), X509_new()};
  CHECK(identity.key != NULL && identity.certificate != NULL);
  X509_gmtime_adj(X509_getm_notBefore(identity.certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(identity.certificate), 3600);
  CHECK(X509_set_pubkey(identity.certificate, identity.key) == 1);
  CHECK(X509_sign(identity.certificate, identity.key, EVP_sha256()) > 0);
  return identity;
}

static inline void tlspair_forget(struct tlsidentity *identity) {
  X509_free(identity->certificate);
  EVP_PKEY_free(identity->key);
}

static inline void tlspair_open(struct tlspair *pair, const struct tlsidentity *identity) {
  int size = SMALL_BUFFER;
  *pair = (struct tlspair){.contexts = {SSL_CTX_new(TLS_server_method()), SSL_CTX_new(TLS_client_method())}};
  SSL_CTX_set_mode(pair->contexts[0], SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  for (int i = 0; i < 2; i++) SSL_CTX_set_read_ahead(pair->contexts[i], 1);
  CHECK(SSL_CTX_use_certificate(pair->contexts[0], identity->certificate) == 1);
  CHECK(SSL_CTX_use_PrivateKey(pair->contexts[0], identity->key) == 1);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds) == 0);
  CHECK(setsockopt(pair->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  pair->near = SSL_new(pair->contexts[0]);
  pair->far = SSL_new(pair->contexts[1]);
  CHECK(dp_pipe_attach(pair->near, pair->fds[0]) && dp_pipe_attach(pair->far, pair->fds[1]));
  SSL_set_accept_state(pair->near);
  SSL_set_connect_state(pair->far);
  for (int turn = 0; turn < 10; turn++) {
    SSL_do_handshake(pair->near);
    SSL_do_handshake(pair->far);
  }
  CHECK(SSL_is_init_finished(pair->near) && SSL_is_init_finished(pair->far));
  ERR_clear_error();
}

static inline void tlspair_close(struct tlspair *pair) {
  for (int i = 0; i < 2; i++) close(pair->fds[i]);
  SSL_free(pair->near);
  SSL_free(pair->far);
  for (int i = 0; i < 2; i++) SSL_CTX_free(pair->contexts[i]);
}
