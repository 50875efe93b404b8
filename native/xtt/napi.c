// The functions that JavaScript calls; xtt.ts describes them.
#include "napi.h"
#include "addon/handle.h"
#include "crypto/calls.h"
#include "server.h"
#include <math.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CREDENTIALS = 64, MAX_SPENT = 1 << 28 };

static const napi_type_tag ALGORITHMS = {0x3f70c2a85e914db6, 0x8a1d64f7b02ce953};
static const napi_type_tag COOKIE_KEY = {0xc5817b2e09f3464d, 0x91e6a05d7c3b482f};
static const napi_type_tag CREDENTIALS = {0x64d9e013ab7f4c58, 0xb72f85ce1d903a64};

static void release_algorithms(void *data) {
  algorithms_close(data);
  free(data);
}

static napi_value xtt_algorithms(napi_env env, napi_callback_info info) {
  (void)info;
  struct algorithms *algorithms = malloc(sizeof *algorithms);
  if (algorithms == NULL) return broken(env, "no memory for the algorithms of a handshake");
  if (algorithms_open(algorithms)) return handle_new(env, &ALGORITHMS, algorithms, release_algorithms);
  release_algorithms(algorithms);
  return broken(env, "this OpenSSL lacks an algorithm of a handshake");
}

static void wipe_cookie_key(struct cookie_key *key) {
  x25519_wipe(&key->exchange);
  OPENSSL_cleanse(key->seal, sizeof key->seal);
}

static void release_cookie_key(void *data) {
  wipe_cookie_key(data);
  free(data);
}

// xttCookieKey(secrets)
static napi_value xtt_cookie_key(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  uint8_t *secrets;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!exactly(env, argument, &secrets, KEY + X25519_LENGTH)) return addon_bad(env, "xttCookieKey(secrets): 64 bytes");
  struct cookie_key *key = calloc(1, sizeof *key);
  if (key == NULL) return broken(env, "no memory for a key of cookies");
  memcpy(key->seal, secrets, KEY);
  if (x25519_import(&key->exchange, secrets + KEY) && x25519_share(&key->exchange, key->share))
    return handle_new(env, &COOKIE_KEY, key, release_cookie_key);
  release_cookie_key(key);
  return broken(env, "importing an X25519 secret");
}

// xttForgetKey(key)
static napi_value xtt_forget_key(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct cookie_key *key = handle_data(env, argument, &COOKIE_KEY);
  if (key == NULL) return addon_bad(env, "xttForgetKey(key)");
  wipe_cookie_key(key);
  return NULL;
}

static void release_credentials(void *data) {
  struct credentials *credentials = data;
  for (size_t i = 0; i < credentials->count; i++) p256_signer_free(credentials->each[i].signer);
  free(credentials);
}

// xttCredentials(hints, certificates, secrets)
static napi_value xtt_credentials(napi_env env, napi_callback_info info) {
  struct addon_bytes given[3];
  size_t count = 0;
  if (addon_all_bytes(env, info, given, 3)) count = given[0].length / HINT;
  if (count == 0 || count > MAX_CREDENTIALS || given[0].length != count * HINT || given[1].length != count * CERTIFICATE ||
      given[2].length != count * P256_SCALAR)
    return addon_bad(env, "xttCredentials(hints, certificates, secrets): 1 to 64 times 8, 169 and 32 bytes");
  struct credentials *credentials = calloc(1, sizeof *credentials + count * sizeof *credentials->each);
  if (credentials == NULL) return broken(env, "no memory for credentials");
  credentials->count = count;
  for (size_t i = 0; i < count; i++) {
    struct credential *each = &credentials->each[i];
    memcpy(each->hint, given[0].data + i * HINT, HINT);
    memcpy(each->certificate, given[1].data + i * CERTIFICATE, CERTIFICATE);
    each->signer = p256_signer_new(given[2].data + i * P256_SCALAR);
    if (each->signer != NULL) continue;
    release_credentials(credentials);
    return addon_bad(env, "xttCredentials(hints, certificates, secrets): a secret is a scalar in 1..n-1");
  }
  return handle_new(env, &CREDENTIALS, credentials, release_credentials);
}

// What the two steps of a handshake are called with first: algorithms, a key that was not forgotten, credentials.
struct using {
  struct algorithms *algorithms;
  struct cookie_key *key;
  struct credentials *credentials;
};

static bool using_of(napi_env env, const napi_value arguments[3], struct using *out) {
  *out = (struct using){handle_data(env, arguments[0], &ALGORITHMS), handle_data(env, arguments[1], &COOKIE_KEY),
                        handle_data(env, arguments[2], &CREDENTIALS)};
  return out->algorithms != NULL && out->key != NULL && out->key->exchange.key != NULL && out->credentials != NULL;
}

static napi_value code_of(napi_env env, enum outcome outcome, unsigned suite) {
  return addon_new_number(env, outcome == OTHER_SUITE ? -(double)suite : (double)outcome);
}

static bool suites_known(const uint8_t *client_inits, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *suite = client_inits + i * CLIENT_INIT + 4;
    if (suite[0] != 0 || !suite_known(suite[1])) return false;
  }
  return true;
}

// xttAnswer(algorithms, key, credentials, tickets, clientInits)
static napi_value xtt_answer(napi_env env, napi_callback_info info) {
  napi_value arguments[5], buffer, result;
  size_t count = 5, length, tickets_length;
  struct using with;
  uint8_t *tickets, *client_inits;
  void *out;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  bool good = using_of(env, arguments, &with) && addon_bytes(env, arguments[3], &tickets, &tickets_length) &&
              addon_bytes(env, arguments[4], &client_inits, &length) && length > 0 && length % CLIENT_INIT == 0;
  count = good ? length / CLIENT_INIT : 0;
  if (!good || tickets_length != count * sizeof(struct ticket) || !suites_known(client_inits, count))
    return addon_bad(env, "xttAnswer(algorithms, key, credentials, tickets, clientInits): a key that was not forgotten, and 16 and 70 bytes "
                          "for each ClientInit, with a suite of 1 to 4");
  if (napi_create_arraybuffer(env, count * SERVER_INIT, &out, &buffer) != napi_ok) return NULL;
  if (!server_answer(with.algorithms, with.key, with.credentials, tickets, (const uint8_t (*)[CLIENT_INIT])client_inits, count, out))
    return broken(env, "answering ClientInits");
  return napi_create_typedarray(env, napi_uint8_array, count * SERVER_INIT, buffer, 0, &result) == napi_ok ? result : NULL;
}

// xttOpen(algorithms, key, credentials, former, age, spent, clientAttest)
static napi_value xtt_open(napi_env env, napi_callback_info info) {
  napi_value arguments[7];
  size_t count = 7;
  struct using with;
  struct spent spent;
  struct claim claim;
  double age;
  uint8_t *attest;
  unsigned suite = 0;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  bool good = using_of(env, arguments, &with) && napi_typeof(env, arguments[3], &type) == napi_ok &&
              napi_get_value_double(env, arguments[4], &age) == napi_ok && isfinite(age) &&
              addon_bytes(env, arguments[5], &spent.bits, &spent.length) && spent.length <= MAX_SPENT &&
              exactly(env, arguments[6], &attest, CLIENT_ATTEST);
  struct credentials *former = good && type != napi_undefined ? handle_data(env, arguments[3], &CREDENTIALS) : NULL;
  if (!good || (type != napi_undefined && former == NULL))
    return addon_bad(env, "xttOpen(algorithms, key, credentials, former, age, spent, clientAttest): a key that was not forgotten, credentials or "
                          "undefined, and 750 bytes");
  enum outcome outcome =
      server_open(with.algorithms, with.key, with.credentials, former, age, spent, attest, &claim, &suite);
  if (outcome == NO_MEMORY) return broken(env, "opening an Identity_ClientAttest");
  if (outcome != DONE) return code_of(env, outcome, suite);
  napi_value result = addon_new_bytes(env, (const uint8_t *)&claim, sizeof claim);
  OPENSSL_cleanse(&claim, sizeof claim);
  return result;
}

// xttFinish(algorithms, suite, claim, identity)
static napi_value xtt_finish(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  uint32_t suite;
  uint8_t *claim, *identity, out[FINISHED];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct algorithms *algorithms = handle_data(env, arguments[0], &ALGORITHMS);
  if (algorithms == NULL || !addon_u32(env, arguments[1], &suite) || !suite_known(suite) ||
      !exactly(env, arguments[2], &claim, sizeof(struct claim)) || !exactly(env, arguments[3], &identity, IDENTITY))
    return addon_bad(env, "xttFinish(algorithms, suite, claim, identity): what xttOpen returned, and 16 bytes");
  struct claim *opened = (struct claim *)claim;
  bool done = server_finish(algorithms, suite, opened, identity, out);
  OPENSSL_cleanse(&opened->server, sizeof opened->server);
  return done ? addon_new_bytes(env, out, sizeof out) : broken(env, "sealing an Identity_ServerFinished");
}

void register_xtt(napi_env env, napi_value exports) {
  addon_function(env, exports, "xttAlgorithms", xtt_algorithms);
  addon_function(env, exports, "xttCookieKey", xtt_cookie_key);
  addon_function(env, exports, "xttForgetKey", xtt_forget_key);
  addon_function(env, exports, "xttCredentials", xtt_credentials);
  addon_function(env, exports, "xttAnswer", xtt_answer);
  addon_function(env, exports, "xttOpen", xtt_open);
  addon_function(env, exports, "xttFinish", xtt_finish);
}
