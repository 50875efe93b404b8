#include "router.h"
#include "algorithms.h"
#include "pki/key.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum {
  HANDSHAKE_BUFFER = 16 * 1024,  // of a peer that has not proven anything yet; OpenSSL needs a record's length at least
  HANDSHAKE_BYTES = 8 * 1024,    // and records, of its whole handshake: what OpenSSL does with a hello may grow with its square
  HANDSHAKE_RECORDS = 64,
  CERTIFICATE_LIST = 4 * 1024,
  CERTIFICATES = 4,              // of a chain
  // The same where owners have CAs of their own: three certificates with RSA keys of 4,096 bits.
  VOUCHED_BYTES = 16 * 1024,
  VOUCHED_LIST = 10 * 1024,
  COORDINATE = 32,
  POINT = 1 + 2 * COORDINATE,
};

// Selects the best known name that the client offers. If it offers only others it gets the fatal alert of RFC 7301 §3.2.
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned size,
                       void *unused) {
  (void)ssl;
  (void)unused;
  *out = NULL;
  for (unsigned at = 0; at < size && at + 1 + offered[at] <= size; at += 1u + offered[at]) {
    const unsigned char *name = offered + at + 1;
    bool super = dp_tls_is_alpn(name, offered[at], WIRE_ALPN_SUPER);
    if (!super && (*out != NULL || !dp_tls_is_alpn(name, offered[at], WIRE_ALPN_CONTROL))) continue;
    *out = name;
    *length = offered[at];
  }
  return *out == NULL ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK;
}

static bool is_p256(const EVP_PKEY *key) {
  char group[32];
  return key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
         strcmp(group, "prime256v1") == 0;
}

// May the peer show a certificate of an owner's CA?
static bool is_vouched(const SSL *ssl) { return SSL_get_max_cert_list((SSL *)(uintptr_t)ssl) == VOUCHED_LIST; }

// Verifies no chain, dates or self-signature: the signature of the handshake proves the key, and JavaScript compares it with the registered
// one. With a key that no device has, the handshake ends before its signature is verified. A peer that has sent its certificate gets the read
// buffer of a tunnel.
static int trust_the_key(X509_STORE_CTX *store, void *unused) {
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  (void)unused;
  if (sk_X509_num(X509_STORE_CTX_get0_untrusted(store)) > CERTIFICATES) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
    return 0;
  }
  EVP_PKEY *key = X509_get0_pubkey(X509_STORE_CTX_get0_cert(store));
  if (!is_p256(key) && !(ssl != NULL && is_vouched(ssl) && pki_sound_key(key))) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);  // the alert unsupported_certificate
    return 0;
  }
  if (ssl != NULL) SSL_set_default_read_buffer_len(ssl, 8 * HANDSHAKE_BUFFER);
  return 1;
}

static bool use_chain(SSL_CTX *context, const char *pem) {
  BIO *text = BIO_new_mem_buf(pem, -1);
  X509 *leaf = text == NULL ? NULL : PEM_read_bio_X509_AUX(text, NULL, NULL, NULL);
  bool ok = leaf != NULL && SSL_CTX_use_certificate(context, leaf) == 1;
  X509_free(leaf);
  for (X509 *next; ok && (next = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL;) {
    ok = SSL_CTX_add0_chain_cert(context, next) == 1;
    if (!ok) X509_free(next);
  }
  BIO_free(text);
  if (ok) ERR_clear_error();  // the end of the text is an error to the reader
  return ok;
}

static bool use_key(SSL_CTX *context, const char *pem) {
  BIO *text = BIO_new_mem_buf(pem, -1);
  EVP_PKEY *key = text == NULL ? NULL : PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
  bool ok = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
  EVP_PKEY_free(key);
  BIO_free(text);
  return ok;
}

// What a device may sign and agree on: a signature costs tenths of a millisecond then, and not tens. C peers with mbedTLS sign with SHA-384 if
// the cipher suite of TLS 1.2 has it, whatever they are asked for.
static bool choose_algorithms(SSL_CTX *context) {
  return SSL_CTX_set1_client_sigalgs_list(context, "ECDSA+SHA256:ECDSA+SHA384") == 1 && SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1;
}

SSL_CTX *router_tls_open(const char *certificate, const char *key, char *reason) {
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new_ex(router_algorithms(), NULL, TLS_server_method());
  if (context == NULL || !use_chain(context, certificate) || !use_key(context, key) || !choose_algorithms(context)) {
    dp_tls_reason(NULL, 0, reason);
    SSL_CTX_free(context);
    return NULL;
  }
  dp_tls_prepare(context);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // No resumption: every connection proves anew that the device has its key, in its TPM.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_cert_verify_callback(context, trust_the_key, NULL);
  SSL_CTX_set_max_cert_list(context, CERTIFICATE_LIST);
  SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
  return context;
}

// The keys that pki_sound_key takes; a signature by any of them costs less than the rest of the handshake.
static bool take_vouched(SSL *ssl) {
  SSL_set_max_cert_list(ssl, VOUCHED_LIST);
  return SSL_set1_client_sigalgs_list(ssl, "ECDSA+SHA256:ECDSA+SHA384:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1;
}

SSL *router_tls_accept(SSL_CTX *context, int fd, bool vouched) {
  SSL *ssl = SSL_new(context);
  if (ssl == NULL) return NULL;
  SSL_set_default_read_buffer_len(ssl, HANDSHAKE_BUFFER);
  if ((vouched && !take_vouched(ssl)) || !dp_tls_attach(ssl, fd)) {
    SSL_free(ssl);
    return NULL;
  }
  dp_pipe_allow(dp_pipe_of(ssl), HANDSHAKE_RECORDS, vouched ? VOUCHED_BYTES : HANDSHAKE_BYTES, UINT64_MAX);
  SSL_set_accept_state(ssl);
  return ssl;
}

static bool coordinate(const EVP_PKEY *key, const char *name, uint8_t *out) {
  BIGNUM *number = NULL;
  bool ok = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2binpad(number, out, COORDINATE) == COORDINATE;
  BN_free(number);
  return ok;
}

static bool read_key(const X509 *certificate, uint8_t out[POINT]) {
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  if (!is_p256(key)) return false;
  // The bytes that OpenSSL has made the key of; compressed ones do not say the other coordinate.
  const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(certificate);
  if (bits != NULL && ASN1_STRING_length(bits) == POINT && ASN1_STRING_get0_data(bits)[0] == 4) {
    memcpy(out, ASN1_STRING_get0_data(bits), POINT);
    return true;
  }
  out[0] = 4;
  return coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, out + 1) && coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, out + 1 + COORDINATE);
}

// What the peer has shown beside its certificate, DER one behind the other. They fit VOUCHED_LIST.
static void read_chain(const SSL *ssl, struct router_event *event) {
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
  uint8_t *at = sk_X509_num(chain) > 0 ? malloc(VOUCHED_LIST) : NULL;
  event->chain = at;
  for (int i = 0; at != NULL && i < sk_X509_num(chain); i++) {
    int length = i2d_X509(sk_X509_value(chain, i), NULL);
    if (length <= 0 || event->chain_length + (size_t)length > VOUCHED_LIST) return;
    i2d_X509(sk_X509_value(chain, i), &at);
    event->chain_length += (size_t)length;
  }
}

// The certificates of TPMs are signed by themselves.
static void read_facts(X509 *certificate, struct router_event *event) {
  if (X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0) return;
  event->facts = malloc(sizeof *event->facts);
  if (event->facts == NULL || pki_facts_of(certificate, event->facts)) return;
  free(event->facts);
  event->facts = NULL;
}

void router_tls_peer(const SSL *ssl, struct router_event *event) {
  X509 *certificate = SSL_get0_peer_certificate(ssl);
  event->tls = SSL_get_version(ssl);
  if (certificate == NULL) return;
  int length = i2d_X509(certificate, &event->certificate);
  // OpenSSL has allocated it by its own means; free() is what node's OpenSSL uses, but that is not promised.
  unsigned char *der = event->certificate;
  event->certificate = NULL;
  if (length > 0 && (event->certificate = malloc((size_t)length)) != NULL) {
    memcpy(event->certificate, der, (size_t)length);
    event->certificate_length = (size_t)length;
    event->has_key = read_key(certificate, event->key);
    if (is_vouched(ssl)) read_chain(ssl, event);
    if (is_vouched(ssl)) read_facts(certificate, event);
  }
  if (length > 0) OPENSSL_free(der);
  ERR_clear_error();
}
