#include "handshake.h"
#include "packet/clock.h"
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

enum dp_handshake dp_handshake_step(SSL *ssl, bool *again, bool *wants_write, int *result) {
  struct dp_pipe *pipe = dp_pipe_of(ssl);
  ERR_clear_error();
  dp_pipe_allow(pipe, DP_TURN_RECORDS, DP_TURN_BYTES, dp_now() + DP_TURN_NS);
  *result = SSL_do_handshake(ssl);
  *again = dp_pipe_is_spent(pipe);
  if (*result == 1) return DP_HANDSHAKE_DONE;
  int error = SSL_get_error(ssl, *result);
  *wants_write = error == SSL_ERROR_WANT_WRITE;
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? DP_HANDSHAKE_UNDER_WAY : DP_HANDSHAKE_FAILED;
}

static bool is_date(long verified) {
  return verified == X509_V_ERR_CERT_NOT_YET_VALID || verified == X509_V_ERR_CERT_HAS_EXPIRED ||
         verified == X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD || verified == X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
}

struct dp_event dp_handshake_failure(const struct dp_client *client, SSL *ssl, int result) {
  struct dp_event event = {.kind = DP_EVENT_HANDSHAKE};
  long verified = SSL_get_verify_result(ssl);
  int error = SSL_get_error(ssl, result);
  bool not_signed = ERR_GET_LIB(ERR_peek_error()) >= ERR_LIB_USER;  // of a provider for keys in the TPM or a token
  uint32_t signer = client->identity->token_key == NULL ? 2 : 3;
  bool closed = error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && result == 0);
  dp_tls_reason(ssl, result, event.text);
  if (closed) snprintf(event.text, sizeof event.text, "the server closed the connection");
  if (verified == X509_V_OK) {
    event.number = not_signed ? signer : 0;
    return event;
  }
  event.kind = is_date(verified) ? DP_EVENT_CLOCK : DP_EVENT_UNTRUSTED;
  event.number = event.kind == DP_EVENT_UNTRUSTED && dp_tls_is_name(verified);
  snprintf(event.text, sizeof event.text, "%s", X509_verify_cert_error_string(verified));
  return event;
}
