// Certificates and lists of revoked ones for JavaScript (pki.ts). Judging runs on libuv's threads.
#include "napi.h"
#include "addon/arguments.h"
#include "describe.h"
#include "judge.h"
#include "key.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { LISTS = 3, MOST_CERTIFICATES = 16, MOST_ANCHORS = 64, MOST_CRL = 2 * 1024 * 1024 };

static napi_value new_flag(napi_env env, bool value) {
  napi_value flag;
  return napi_get_boolean(env, value, &flag) == napi_ok ? flag : NULL;
}

// Bytes that lie in one buffer, which costs less than one for each.
struct packed {
  napi_value buffer;
  uint8_t *at;
  size_t used;
};

static napi_value pack(napi_env env, struct packed *packed, const uint8_t *bytes, size_t length) {
  napi_value view;
  memcpy(packed->at + packed->used, bytes, length);
  if (napi_create_typedarray(env, napi_uint8_array, length, packed->buffer, packed->used, &view) != napi_ok) return NULL;
  packed->used += length;
  return view;
}

napi_value pki_describe(napi_env env, const struct pki_facts *facts) {
  struct packed packed = {0};
  napi_value object;
  size_t size = facts->address_count * PKI_ADDRESS + 3 * PKI_HASH + facts->name.serial_length;
  if (napi_create_object(env, &object) != napi_ok || napi_create_arraybuffer(env, size, (void **)&packed.at, &packed.buffer) != napi_ok) return NULL;
  addon_set(env, object, "addresses", pack(env, &packed, facts->addresses, facts->address_count * PKI_ADDRESS));
  if (facts->common_name[0] != 0) addon_set(env, object, "commonName", addon_new_text(env, facts->common_name));
  addon_set(env, object, "subject", addon_new_text(env, facts->subject));
  addon_set(env, object, "subjectHash", pack(env, &packed, facts->subject_hash, PKI_HASH));
  addon_set(env, object, "issuerHash", pack(env, &packed, facts->name.issuer, PKI_HASH));
  addon_set(env, object, "serial", pack(env, &packed, facts->name.serial, facts->name.serial_length));
  addon_set(env, object, "spki", pack(env, &packed, facts->spki, PKI_HASH));
  addon_set(env, object, "notBefore", addon_new_number(env, (double)facts->not_before));
  addon_set(env, object, "notAfter", addon_new_number(env, (double)facts->not_after));
  addon_set(env, object, "authority", new_flag(env, facts->authority));
  addon_set(env, object, "keyUsage", new_flag(env, facts->key_usage));
  addon_set(env, object, "sound", new_flag(env, facts->sound));
  return object;
}

// pkiRead(der)
static napi_value read_call(napi_env env, napi_callback_info info) {
  struct addon_bytes der;
  if (!addon_all_bytes(env, info, &der, 1)) return addon_bad(env, "pkiRead(der): expected a Uint8Array");
  STACK_OF(X509) *list = pki_read_list(der.data, der.length, 1);
  struct pki_facts facts;
  bool read = sk_X509_num(list) == 1 && pki_facts_of(sk_X509_value(list, 0), &facts);
  napi_value described = read ? pki_describe(env, &facts) : addon_undefined(env);
  sk_X509_pop_free(list, X509_free);
  ERR_clear_error();
  return described;
}

// Of certificates, DER one behind the other: the peer's, those beside it, and the anchors.
struct work {
  napi_async_work work;
  napi_deferred deferred;
  int64_t now;
  struct pki_judgement judgement;
  size_t lengths[LISTS];
  uint8_t der[];
};

static void free_work(struct work *work) {
  free(work->judgement.via);
  free(work);
}

// On libuv's thread: reading a certificate costs as much as all that is done for one on the main thread.
static void judge(napi_env env, void *data) {
  static const int most[LISTS] = {1, MOST_CERTIFICATES, MOST_ANCHORS};
  struct work *work = data;
  STACK_OF(X509) *lists[LISTS];
  const uint8_t *at = work->der;
  (void)env;
  for (int i = 0; i < LISTS; at += work->lengths[i++]) lists[i] = pki_read_list(at, work->lengths[i], most[i]);
  if (sk_X509_num(lists[0]) != 1 || lists[1] == NULL || lists[2] == NULL)
    strcpy(work->judgement.text, "certificates that cannot be read, or too many of them");
  else
    pki_judge(sk_X509_value(lists[0], 0), lists[1], lists[2], work->now, &work->judgement);
  for (int i = 0; i < LISTS; i++) sk_X509_pop_free(lists[i], X509_free);
}

static napi_value names_of(napi_env env, const struct pki_judgement *judgement) {
  struct packed packed = {0};
  napi_value names;
  size_t size = judgement->count * (PKI_HASH + PKI_SERIAL);
  if (napi_create_array(env, &names) != napi_ok || napi_create_arraybuffer(env, size, (void **)&packed.at, &packed.buffer) != napi_ok) return NULL;
  for (size_t i = 0; i < judgement->count; i++) {
    const struct pki_name *name = &judgement->names[i];
    napi_value object;
    if (napi_create_object(env, &object) != napi_ok) return NULL;
    addon_set(env, object, "issuerHash", pack(env, &packed, name->issuer, PKI_HASH));
    addon_set(env, object, "serial", pack(env, &packed, name->serial, name->serial_length));
    napi_set_element(env, names, (uint32_t)i, object);
  }
  return names;
}

static void finish(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  const struct pki_judgement *judgement = &work->judgement;
  napi_value object;
  if (status == napi_ok && napi_create_object(env, &object) == napi_ok) {
    if (!judgement->ok) addon_set(env, object, "refused", addon_new_text(env, judgement->text));
    addon_set(env, object, "until", addon_new_number(env, (double)judgement->until));
    addon_set(env, object, "names", names_of(env, judgement));
    if (judgement->via != NULL) {
      addon_set(env, object, "via", addon_new_bytes(env, judgement->via, judgement->via_length));
      addon_set(env, object, "viaUntil", addon_new_number(env, (double)judgement->via_until));
    }
    napi_resolve_deferred(env, work->deferred, object);
  } else {
    napi_reject_deferred(env, work->deferred, addon_error(env, ENOMEM, "judging a certificate"));
  }
  napi_delete_async_work(env, work->work);
  free_work(work);
}

// pkiVerify(leaf, others, anchors, now)
static napi_value verify_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4], promise;
  size_t count = 4;
  struct addon_bytes bytes[LISTS];
  uint32_t now;
  size_t size = 0;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  bool ok = addon_u32(env, arguments[3], &now);
  for (int i = 0; i < LISTS; i++) {
    ok = ok && addon_bytes(env, arguments[i], &bytes[i].data, &bytes[i].length);
    size += ok ? bytes[i].length : 0;
  }
  if (!ok) return addon_bad(env, "pkiVerify(leaf, others, anchors, now): expected three Uint8Arrays and a time");
  struct work *work = calloc(1, sizeof *work + size);
  if (work == NULL) return addon_errno(env, ENOMEM, "judging a certificate");
  uint8_t *at = work->der;
  work->now = now;
  for (int i = 0; i < LISTS; at += work->lengths[i++]) {
    work->lengths[i] = bytes[i].length;
    if (bytes[i].length > 0) memcpy(at, bytes[i].data, bytes[i].length);
  }
  if (napi_create_promise(env, &work->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, NULL, addon_new_text(env, "enf.pki"), judge, finish, work, &work->work) != napi_ok ||
      napi_queue_async_work(env, work->work) != napi_ok) {
    free_work(work);
    return addon_errno(env, ENOMEM, "judging a certificate");
  }
  return promise;
}

// The issuer among these whose signature the list has, or NULL.
static X509 *signer_of(X509_CRL *list, STACK_OF(X509) *issuers) {
  for (int i = 0; i < sk_X509_num(issuers); i++) {
    X509 *issuer = sk_X509_value(issuers, i);
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    if (X509_NAME_cmp(X509_get_subject_name(issuer), X509_CRL_get_issuer(list)) == 0 && pki_sound_key(key) && X509_CRL_verify(list, key) == 1)
      return issuer;
  }
  return NULL;
}

// Every extension that changes what a list means is critical; none of these is known here (RFC 5280 §5.2): partitions, deltas, indirect lists.
static bool is_plain(const X509_CRL *list) {
  for (int i = 0; i < X509_CRL_get_ext_count(list); i++)
    if (X509_EXTENSION_get_critical(X509_CRL_get_ext(list, i))) return false;
  return true;
}

// The serial numbers, each behind a byte with its length.
static napi_value revoked_in(napi_env env, X509_CRL *list) {
  STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(list);
  int count = revoked == NULL ? 0 : sk_X509_REVOKED_num(revoked);
  uint8_t *serials = malloc((size_t)count * (1 + PKI_SERIAL) + 1);
  size_t length = 0;
  if (serials == NULL) return NULL;
  for (int i = 0; i < count; i++) {
    const X509_REVOKED *each = sk_X509_REVOKED_value(revoked, i);
    size_t size;
    if (X509_REVOKED_get_ext_by_critical(each, 1, -1) >= 0 || !pki_serial_of(X509_REVOKED_get0_serialNumber(each), serials + length + 1, &size)) {
      free(serials);
      return NULL;
    }
    serials[length] = (uint8_t)size;
    length += 1 + size;
  }
  napi_value bytes = addon_new_bytes(env, serials, length);
  free(serials);
  return bytes;
}

static napi_value describe_crl(napi_env env, X509_CRL *list, STACK_OF(X509) *issuers) {
  uint8_t hash[PKI_HASH];
  napi_value object, revoked = NULL;
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  if (signer_of(list, issuers) == NULL) {
    addon_set(env, object, "refused", addon_new_text(env, "none of the certificates of this CA has signed it"));
    return object;
  }
  if (!is_plain(list) || (revoked = revoked_in(env, list)) == NULL) {
    addon_set(env, object, "refused", addon_new_text(env, "it has critical extensions, as partial and indirect lists have, or serial numbers that are too long"));
    return object;
  }
  if (!pki_hash_name(X509_CRL_get_issuer(list), hash)) return NULL;
  addon_set(env, object, "issuerHash", addon_new_bytes(env, hash, PKI_HASH));
  addon_set(env, object, "thisUpdate", addon_new_number(env, (double)pki_seconds(X509_CRL_get0_lastUpdate(list))));
  if (X509_CRL_get0_nextUpdate(list) != NULL)
    addon_set(env, object, "nextUpdate", addon_new_number(env, (double)pki_seconds(X509_CRL_get0_nextUpdate(list))));
  addon_set(env, object, "revoked", revoked);
  return object;
}

// pkiReadCrl(der, issuers)
static napi_value crl_call(napi_env env, napi_callback_info info) {
  struct addon_bytes bytes[2];
  if (!addon_all_bytes(env, info, bytes, 2)) return addon_bad(env, "pkiReadCrl(der, issuers): expected two Uint8Arrays");
  const uint8_t *at = bytes[0].data;
  X509_CRL *list = bytes[0].length <= MOST_CRL ? d2i_X509_CRL(NULL, &at, (long)bytes[0].length) : NULL;
  STACK_OF(X509) *issuers = pki_read_list(bytes[1].data, bytes[1].length, MOST_CERTIFICATES);
  bool whole = list != NULL && issuers != NULL && at == bytes[0].data + bytes[0].length;
  napi_value facts = whole ? describe_crl(env, list, issuers) : addon_undefined(env);
  X509_CRL_free(list);
  sk_X509_pop_free(issuers, X509_free);
  ERR_clear_error();
  return facts;
}

void register_pki(napi_env env, napi_value exports) {
  addon_function(env, exports, "pkiRead", read_call);
  addon_function(env, exports, "pkiVerify", verify_call);
  addon_function(env, exports, "pkiReadCrl", crl_call);
}
