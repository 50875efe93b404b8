// The key object as OpenSSL sees it: an EC key on P-256 whose private half cannot be exported. Without EXPORT libssl has
// to sign through this provider; IMPORT takes a certificate's public key, which OpenSSL compares with ours.
#include "provider.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <string.h>

#define COMPRESSED_POINT_BYTES 33

static void *new_key(void *provider) {
  (void)provider;
  return OPENSSL_zalloc(sizeof(struct provider_key));
}

static void free_key(void *data) {
  struct provider_key *key = data;
  if (!key) return;
  tls_key_release(key->tls);
  OPENSSL_free(key);
}

struct provider_key *provider_key_of(struct tls_key *tls) {
  struct provider_key *key = new_key(NULL);
  if (!key) return NULL;
  key->tls = tls_key_retain(tls);
  memcpy(key->point, tls_key_point(tls), sizeof key->point);
  key->has_point = true;
  return key;
}

// Takes the object over from the decoder.
static void *load(const void *reference, size_t size) {
  if (size != sizeof(struct provider_key *)) return NULL;
  struct provider_key **from = (struct provider_key **)reference;
  struct provider_key *key = *from;
  *from = NULL;
  return key;
}

static int has(const void *data, int selection) {
  const struct provider_key *key = data;
  if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) && !key->has_point) return 0;
  return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->tls != NULL;
}

static int match(const void *a, const void *b, int selection) {
  const struct provider_key *one = a, *other = b;
  if (!(selection & OSSL_KEYMGMT_SELECT_KEYPAIR)) return 1;
  return one->has_point && other->has_point && memcmp(one->point, other->point, sizeof one->point) == 0;
}

static bool expand(const uint8_t *compressed, uint8_t *point) {
  EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  EC_POINT *decoded = group ? EC_POINT_new(group) : NULL;
  bool ok = decoded && EC_POINT_oct2point(group, decoded, compressed, COMPRESSED_POINT_BYTES, NULL) &&
            EC_POINT_point2oct(group, decoded, POINT_CONVERSION_UNCOMPRESSED, point, PROVIDER_POINT_BYTES, NULL) ==
                PROVIDER_POINT_BYTES;
  EC_POINT_free(decoded);
  EC_GROUP_free(group);
  return ok;
}

static bool is_p256(const OSSL_PARAM *group) {
  if (!group || group->data_type != OSSL_PARAM_UTF8_STRING || !group->data) return false;
  return OPENSSL_strcasecmp(group->data, "prime256v1") == 0 || OPENSSL_strcasecmp(group->data, "P-256") == 0;
}

static int import(void *data, int selection, const OSSL_PARAM parameters[]) {
  struct provider_key *key = data;
  if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) return 0;
  if (!is_p256(OSSL_PARAM_locate_const(parameters, OSSL_PKEY_PARAM_GROUP_NAME))) return 0;
  const OSSL_PARAM *point = OSSL_PARAM_locate_const(parameters, OSSL_PKEY_PARAM_PUB_KEY);
  if (!point || point->data_type != OSSL_PARAM_OCTET_STRING || !point->data) return 0;
  if (point->data_size == PROVIDER_POINT_BYTES) memcpy(key->point, point->data, PROVIDER_POINT_BYTES);
  else if (point->data_size != COMPRESSED_POINT_BYTES || !expand(point->data, key->point)) return 0;
  key->has_point = true;
  return 1;
}

static const OSSL_PARAM *import_types(int selection) {
  static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                     OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};
  (void)selection;
  return types;
}

static bool tell_number(OSSL_PARAM parameters[], const char *name, int value) {
  OSSL_PARAM *wanted = OSSL_PARAM_locate(parameters, name);
  return !wanted || OSSL_PARAM_set_int(wanted, value);
}

static bool tell_text(OSSL_PARAM parameters[], const char *name, const char *value) {
  OSSL_PARAM *wanted = OSSL_PARAM_locate(parameters, name);
  return !wanted || OSSL_PARAM_set_utf8_string(wanted, value);
}

static bool tell_point(OSSL_PARAM parameters[], const char *name, const struct provider_key *key) {
  OSSL_PARAM *wanted = OSSL_PARAM_locate(parameters, name);
  return !wanted || (key->has_point && OSSL_PARAM_set_octet_string(wanted, key->point, sizeof key->point));
}

static int get_params(void *data, OSSL_PARAM parameters[]) {
  const struct provider_key *key = data;
  return tell_number(parameters, OSSL_PKEY_PARAM_BITS, 256) &&
         tell_number(parameters, OSSL_PKEY_PARAM_SECURITY_BITS, 128) &&
         tell_number(parameters, OSSL_PKEY_PARAM_MAX_SIZE, PROVIDER_SIGNATURE_BYTES) &&
         tell_text(parameters, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1") &&
         tell_text(parameters, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256") &&
         tell_text(parameters, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") &&
         tell_point(parameters, OSSL_PKEY_PARAM_PUB_KEY, key) &&
         tell_point(parameters, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, key);
}

static const OSSL_PARAM *gettable_params(void *provider) {
  static const OSSL_PARAM table[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                                     OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                                     OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                                     OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                     OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                                     OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
                                     OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                     OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                                     OSSL_PARAM_END};
  (void)provider;
  return table;
}

static const char *operation_name(int operation) {
  if (operation == OSSL_OP_SIGNATURE) return "ECDSA";
  return operation == OSSL_OP_KEYEXCH ? "ECDH" : NULL;
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_key},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))free_key},
    {OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))load},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))has},
    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))match},
    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))import_types},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))operation_name},
    {0, NULL},
};

const OSSL_ALGORITHM provider_keymgmt[] = {
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" PROVIDER_NAME, functions, NULL}, {NULL, NULL, NULL, NULL}};
