#include "tls.h"
#include "pipe.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

// Each name behind its length, as ALPN has them.
static const unsigned char ALPN_SUPER[] = "\x05" WIRE_ALPN_SUPER "\x05" WIRE_ALPN_CONTROL;
static const unsigned char ALPN_CONTROL[] = "\x05" WIRE_ALPN_CONTROL;
_Static_assert(sizeof WIRE_ALPN_SUPER == 6 && sizeof WIRE_ALPN_CONTROL == 6, "names of 5 bytes");

#ifndef OPENSSL_NO_KTLS
static bool kernel_tls(void) {
  char names[256] = "";
  FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");
  if (file == NULL) return false;
  bool listed = fgets(names, sizeof names, file) != NULL && strstr(names, "tls") != NULL;
  fclose(file);
  return listed;
}
#endif

bool dp_tls_attach(SSL *ssl, int fd) {
#ifndef OPENSSL_NO_KTLS
  // The kernel's TLS works only under OpenSSL's own socket BIO.
  if (kernel_tls()) {
    SSL_set_options(ssl, SSL_OP_ENABLE_KTLS);
    SSL_set_read_ahead(ssl, 0);  // of records in its own buffer, OpenSSL would go through all key updates in one call
    return SSL_set_fd(ssl, fd) == 1;
  }
#endif
  return dp_pipe_attach(ssl, fd);
}

// AES is several times faster than ChaCha20 with the instructions for it, and several times slower without.
static const char *suites(void) {
#if defined(__x86_64__) || defined(__i386__)
  bool aes = __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  bool aes = (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  bool aes = false;
#endif
  return aes ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
             : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
}

void dp_tls_prepare(SSL_CTX *context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ciphersuites(context, suites());
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);  // a call would last as long as key updates come
  SSL_CTX_set_read_ahead(context, 1);  // a record in one call, not its header first
}

enum dp_wire dp_tls_wire(const SSL *ssl) {
  const unsigned char *name = NULL;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &name, &length);
  if (dp_tls_is_alpn(name, length, WIRE_ALPN_SUPER)) return DP_WIRE_SUPER;
  if (dp_tls_is_alpn(name, length, WIRE_ALPN_CONTROL)) return DP_WIRE_CONTROL;
  return DP_WIRE_PLAIN;
}

void dp_tls_reason(const SSL *ssl, int result, char *reason) {
  int system = errno, what = ssl == NULL ? SSL_ERROR_SSL : SSL_get_error(ssl, result);
  unsigned long error = ERR_peek_error();
  const char *text = error == 0 ? NULL : ERR_reason_error_string(error), *data = NULL;
  int flags = 0;
  ERR_peek_error_data(&data, &flags);
  if (error != 0 && ERR_SYSTEM_ERROR(error)) snprintf(reason, DP_REASON, "%s", strerrorname_np(ERR_GET_REASON(error)) ?: "?");
  else if (error != 0 && data != NULL && (flags & ERR_TXT_STRING) && *data != 0)
    snprintf(reason, DP_REASON, "%s: %s", text == NULL ? "error" : text, data);
  else if (error != 0) snprintf(reason, DP_REASON, "%s", text == NULL ? "unknown error" : text);
  else if (what == SSL_ERROR_SYSCALL && system != 0) snprintf(reason, DP_REASON, "%s", strerrorname_np(system) ?: "?");
  else snprintf(reason, DP_REASON, "%s", "unknown error");
  ERR_clear_error();
}

// Adds every certificate of the PEM text; false if there is none.
static bool add_roots(SSL_CTX *context, const char *roots) {
  BIO *text = BIO_new_mem_buf(roots, -1);
  int count = 0;
  for (X509 *root; text != NULL && (root = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL; X509_free(root))
    count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root);
  BIO_free(text);
  if (count > 0) ERR_clear_error();  // the end of the text is an error to the reader
  return count > 0;
}

// The first is the own one, the others lead from its issuer on.
static bool use_certificates(SSL_CTX *context, const uint8_t *der, size_t length) {
  const uint8_t *at = der;
  X509 *own = d2i_X509(NULL, &at, (long)length);
  bool ok = own != NULL && SSL_CTX_use_certificate(context, own) == 1;
  X509_free(own);
  while (ok && at < der + length) {
    X509 *next = d2i_X509(NULL, &at, (long)(der + length - at));
    ok = next != NULL && SSL_CTX_add0_chain_cert(context, next) == 1;
    if (!ok) X509_free(next);
  }
  return ok;
}

static EVP_PKEY *read_key(const char *pem) {
  BIO *text = BIO_new_mem_buf(pem, -1);
  EVP_PKEY *key = text == NULL ? NULL : PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
  BIO_free(text);
  return key;
}

static bool add_identity(SSL_CTX *context, const uint8_t *certificate, size_t length, const char *pem, EVP_PKEY *token_key) {
  EVP_PKEY *own = token_key == NULL ? read_key(pem) : NULL, *private = token_key == NULL ? own : token_key;
  bool ok = private != NULL && use_certificates(context, certificate, length) && SSL_CTX_use_PrivateKey(context, private) == 1;
  EVP_PKEY_free(own);
  return ok;
}

// OpenSSL has a new ticket: TLS 1.3 tickets are good for one connection each.
static int keep_session(SSL *ssl, SSL_SESSION *session) {
  struct dp_tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  SSL_SESSION_free(client->session);
  client->session = session;
  return 1;
}

static bool has_name(X509 *certificate, const char *name, size_t length) {
  char address[64];
  unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
  if (length < sizeof address) {
    memcpy(address, name, length);
    address[length] = 0;
    if (X509_check_ip_asc(certificate, address, 0) == 1) return true;
  }
  return X509_check_host(certificate, name, length, flags, NULL) == 1;
}

static bool has_any_name(X509 *certificate, const char *names) {
  for (size_t length; *names != 0; names += length + (names[length] != 0)) {
    length = strcspn(names, "\n");
    if (length > 0 && has_name(certificate, names, length)) return true;
  }
  return false;
}

// Instead of X509_VERIFY_PARAM's host and address, which must both be right where both are given.
static int verify_named(X509_STORE_CTX *store, void *names) {
  if (X509_verify_cert(store) != 1) return 0;
  X509 *certificate = X509_STORE_CTX_get0_cert(store);
  if (certificate == NULL || !has_any_name(certificate, names)) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
  }
  // Without the extension OpenSSL has every usage allowed: all bits are set.
  uint32_t usage = X509_get_extended_key_usage(certificate);
  if (usage != UINT32_MAX && (usage & XKU_SSL_SERVER) != 0) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
  return 0;
}

bool dp_tls_is_name(long verified) { return verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_INVALID_PURPOSE; }

enum dp_tls_wrong dp_tls_client_open(struct dp_tls_client *client, const char *roots, const uint8_t *certificate,
                                     size_t certificate_length, const char *key, EVP_PKEY *token_key, bool super,
                                     const char *names, char *reason) {
  enum dp_tls_wrong wrong = DP_TLS_FINE;
  ERR_clear_error();
  *client = (struct dp_tls_client){.context = SSL_CTX_new(TLS_client_method())};
  if (*names != 0) client->names = strdup(names);
  if (client->context == NULL || (*names != 0 && client->names == NULL)) wrong = DP_TLS_BAD_CREDENTIALS;
  else if (!add_roots(client->context, roots)) wrong = DP_TLS_BAD_ROOT;
  else if (!add_identity(client->context, certificate, certificate_length, key, token_key)) wrong = DP_TLS_BAD_CREDENTIALS;
  if (wrong != DP_TLS_FINE) {
    dp_tls_reason(NULL, 0, reason);
    dp_tls_client_close(client);
    return wrong;
  }
  dp_tls_prepare(client->context);
  SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
  if (client->names != NULL) SSL_CTX_set_cert_verify_callback(client->context, verify_named, client->names);
  SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(client->context, keep_session);
  if (super) SSL_CTX_set_alpn_protos(client->context, ALPN_SUPER, sizeof ALPN_SUPER - 1);
  else SSL_CTX_set_alpn_protos(client->context, ALPN_CONTROL, sizeof ALPN_CONTROL - 1);
  return DP_TLS_FINE;
}

void dp_tls_client_close(struct dp_tls_client *client) {
  SSL_SESSION_free(client->session);
  SSL_CTX_free(client->context);
  free(client->names);
  *client = (struct dp_tls_client){0};
}

SSL *dp_tls_client_connect(struct dp_tls_client *client, int fd) {
  SSL *ssl = SSL_new(client->context);
  if (ssl == NULL || !dp_tls_attach(ssl, fd)) {
    SSL_free(ssl);
    return NULL;
  }
  SSL_CTX_set_app_data(client->context, client);
  if (client->session != NULL && SSL_SESSION_is_resumable(client->session)) SSL_set_session(ssl, client->session);
  SSL_set_connect_state(ssl);
  return ssl;
}
