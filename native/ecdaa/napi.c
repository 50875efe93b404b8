// The JavaScript face of ECDAA: argument checks, and verification on libuv's threads. Wrong types are TypeErrors, wrong
// contents are answered with undefined: the caller asks the reference what is wrong with them.
#include "napi.h"
#include "addon/arguments.h"
#include "ecdaa.h"
#include <errno.h>
#include <stdlib.h>

static const napi_type_tag group_tag = {0x656e662d65636461, 0x5b1d9f0c47a3e822};

static const char *const ARITHMETICS[] = {"portable", "adx", "lanes"};

// ecdaaArithmetic(name?): string
static napi_value arithmetic(napi_env env, napi_callback_info info) {
  napi_value argument, name;
  size_t count = 1;
  napi_valuetype type = napi_undefined;
  char wanted[16];
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (count > 0) napi_typeof(env, argument, &type);
  if (type != napi_undefined) {
    if (!addon_text(env, argument, wanted, sizeof wanted)) return addon_bad(env, "ecdaaArithmetic(name?: string)");
    size_t choice = 0;
    while (choice < 3 && strcmp(wanted, ARITHMETICS[choice]) != 0) choice++;
    if (choice == 3) return addon_bad(env, "ecdaaArithmetic: expected portable, adx or lanes");
    if (!fp_choose((enum arithmetic)choice)) return addon_bad(env, "ecdaaArithmetic: this processor or build has no such");
  }
  enum arithmetic chosen = fp_has_lanes ? ARITHMETIC_LANES : fp_has_adx ? ARITHMETIC_ADX : ARITHMETIC_PORTABLE;
  napi_create_string_utf8(env, ARITHMETICS[chosen], NAPI_AUTO_LENGTH, &name);
  return name;
}

static void collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  ecdaa_group_release(data);
}

// ecdaaGroup(gpk, basename, secretKeys, pseudonyms): object | undefined
static napi_value group(napi_env env, napi_callback_info info) {
  struct addon_bytes given[4];
  if (!addon_all_bytes(env, info, given, 4))
    return addon_bad(env, "ecdaaGroup(gpk, basename, secretKeys, pseudonyms: Uint8Array)");
  const struct addon_bytes *gpk = &given[0], *basename = &given[1], *secrets = &given[2], *pseudonyms = &given[3];
  if (gpk->length != GROUP_KEY_LENGTH || secrets->length % SCALAR_LENGTH || pseudonyms->length % G1_LENGTH)
    return addon_undefined(env);
  struct ecdaa_group *made =
      ecdaa_group_make(gpk->data, basename->data, basename->length, secrets->data, secrets->length / SCALAR_LENGTH,
                       pseudonyms->data, pseudonyms->length / G1_LENGTH);
  if (!made) return errno == EINVAL ? addon_undefined(env) : addon_errno(env, errno, "preparing a group");
  napi_value object;
  napi_create_object(env, &object);
  if (napi_wrap(env, object, made, collected, NULL, NULL) != napi_ok) {
    ecdaa_group_release(made);
    return addon_errno(env, ENOMEM, "preparing a group");
  }
  napi_type_tag_object(env, object, &group_tag);
  return object;
}

// A batch under way. The bytes are copies: JavaScript may change its own meanwhile.
struct job {
  napi_async_work work;
  napi_deferred deferred;
  struct ecdaa_group *group;
  size_t count;
  struct ecdaa_claim claims[MAX_BATCH];
  bool accepted[MAX_BATCH];
  bool done;
  uint8_t *bytes;
};

static void free_job(struct job *job) {
  if (job->group) ecdaa_group_release(job->group);
  free(job->bytes);
  free(job);
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct job *job = data;
  job->done = ecdaa_verify(job->group, job->claims, job->count, job->accepted);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct job *job = data;
  if (status == napi_ok && job->done) {
    uint8_t verdicts[MAX_BATCH];
    for (size_t i = 0; i < job->count; i++) verdicts[i] = job->accepted[i];
    napi_resolve_deferred(env, job->deferred, addon_new_bytes(env, verdicts, job->count));
  } else {
    napi_reject_deferred(env, job->deferred, addon_error(env, ENOMEM, "verifying signatures"));
  }
  napi_delete_async_work(env, job->work);
  free_job(job);
}

// The i-th element of an array as bytes.
static bool element(napi_env env, napi_value array, size_t i, struct addon_bytes *r) {
  napi_value value;
  return napi_get_element(env, array, (uint32_t)i, &value) == napi_ok && addon_bytes(env, value, &r->data, &r->length);
}

static bool read_claims(napi_env env, napi_value signatures, napi_value messages, struct addon_bytes *signature,
                        struct addon_bytes *message, size_t *count) {
  bool arrays[2] = {false, false};
  uint32_t lengths[2] = {0, 0};
  napi_is_array(env, signatures, &arrays[0]);
  napi_is_array(env, messages, &arrays[1]);
  if (!arrays[0] || !arrays[1]) return false;
  napi_get_array_length(env, signatures, &lengths[0]);
  napi_get_array_length(env, messages, &lengths[1]);
  if (lengths[0] != lengths[1] || lengths[0] < 1 || lengths[0] > MAX_BATCH) return false;
  *count = lengths[0];
  for (size_t i = 0; i < *count; i++) {
    if (!element(env, signatures, i, &signature[i]) || !element(env, messages, i, &message[i])) return false;
  }
  return true;
}

static bool copy_claims(struct job *job, const struct addon_bytes *signature, const struct addon_bytes *message) {
  size_t total = 1;
  for (size_t i = 0; i < job->count; i++) total += signature[i].length + message[i].length;
  uint8_t *next = job->bytes = malloc(total);
  if (!next) return false;
  for (size_t i = 0; i < job->count; i++) {
    struct ecdaa_claim *claim = &job->claims[i];
    *claim = (struct ecdaa_claim){next, signature[i].length, next + signature[i].length, message[i].length};
    if (signature[i].length) memcpy(next, signature[i].data, signature[i].length);
    next += signature[i].length;
    if (message[i].length) memcpy(next, message[i].data, message[i].length);
    next += message[i].length;
  }
  return true;
}

// ecdaaVerify(group, signatures, messages): Promise<Uint8Array>
static napi_value verify(napi_env env, napi_callback_info info) {
  static const char usage[] = "ecdaaVerify(group, signatures: Uint8Array[], messages: Uint8Array[]), 1 to 64 of each";
  napi_value arguments[3], promise, name;
  size_t given = 3, count = 0;
  bool is_group = false;
  struct addon_bytes signature[MAX_BATCH], message[MAX_BATCH];
  struct ecdaa_group *made;
  napi_get_cb_info(env, info, &given, arguments, NULL, NULL);
  if (given < 3 || napi_check_object_type_tag(env, arguments[0], &group_tag, &is_group) != napi_ok || !is_group ||
      napi_unwrap(env, arguments[0], (void **)&made) != napi_ok ||
      !read_claims(env, arguments[1], arguments[2], signature, message, &count))
    return addon_bad(env, usage);
  struct job *job = calloc(1, sizeof *job);
  if (!job) return addon_errno(env, ENOMEM, "verifying signatures");
  ecdaa_group_retain(made);
  job->group = made;
  job->count = count;
  napi_create_string_utf8(env, "ecdaa", NAPI_AUTO_LENGTH, &name);
  if (!copy_claims(job, signature, message) ||
      napi_create_async_work(env, NULL, name, execute, complete, job, &job->work) != napi_ok) {
    free_job(job);
    return addon_errno(env, ENOMEM, "verifying signatures");
  }
  napi_create_promise(env, &job->deferred, &promise);
  if (napi_queue_async_work(env, job->work) != napi_ok) complete(env, napi_generic_failure, job);
  return promise;
}

// ecdaaPublicPoint(secret): Uint8Array | undefined
static napi_value public_point(napi_env env, napi_callback_info info) {
  struct addon_bytes secret;
  uint8_t point[G1_LENGTH];
  if (!addon_all_bytes(env, info, &secret, 1)) return addon_bad(env, "ecdaaPublicPoint(secret: Uint8Array)");
  if (secret.length != SCALAR_LENGTH || !ecdaa_public_point(point, secret.data)) return addon_undefined(env);
  return addon_new_bytes(env, point, sizeof point);
}

// ecdaaRespond(secret, committed, challenge): Uint8Array | undefined
static napi_value respond(napi_env env, napi_callback_info info) {
  struct addon_bytes given[3];
  uint8_t response[SCALAR_LENGTH];
  if (!addon_all_bytes(env, info, given, 3))
    return addon_bad(env, "ecdaaRespond(secret, committed, challenge: Uint8Array)");
  for (int i = 0; i < 3; i++) {
    if (given[i].length != SCALAR_LENGTH) return addon_undefined(env);
  }
  if (!ecdaa_respond(response, given[0].data, given[1].data, given[2].data)) return addon_undefined(env);
  return addon_new_bytes(env, response, sizeof response);
}

// ecdaaIssue(issuerSecret, memberPoint, draws): Uint8Array | undefined
static napi_value issue(napi_env env, napi_callback_info info) {
  struct addon_bytes given[3];
  uint8_t credential[CREDENTIAL_LENGTH + CREDENTIAL_SIGNATURE_LENGTH];
  if (!addon_all_bytes(env, info, given, 3))
    return addon_bad(env, "ecdaaIssue(issuerSecret, memberPoint, draws: Uint8Array)");
  if (given[0].length != 2 * SCALAR_LENGTH || given[1].length != G1_LENGTH || given[2].length != 2 * DRAW_LENGTH ||
      !ecdaa_issue(credential, given[0].data, given[1].data, given[2].data))
    return addon_undefined(env);
  return addon_new_bytes(env, credential, sizeof credential);
}

// ecdaaSign(secret, credential, message, basename, draws): Uint8Array | undefined
static napi_value sign(napi_env env, napi_callback_info info) {
  struct addon_bytes given[5];
  uint8_t signature[LINKED_SIGNATURE_LENGTH];
  if (!addon_all_bytes(env, info, given, 5))
    return addon_bad(env, "ecdaaSign(secret, credential, message, basename, draws: Uint8Array)");
  const struct addon_bytes *message = &given[2], *basename = &given[3];
  if (given[0].length != SCALAR_LENGTH || given[1].length != CREDENTIAL_LENGTH || given[4].length != 3 * DRAW_LENGTH ||
      !ecdaa_sign(signature, given[0].data, given[1].data, message->data, message->length, basename->data,
                  basename->length, given[4].data))
    return addon_undefined(env);
  return addon_new_bytes(env, signature, basename->length > 0 ? LINKED_SIGNATURE_LENGTH : SIGNATURE_LENGTH);
}

void register_ecdaa(napi_env env, napi_value exports) {
  fp_choose_best();
  addon_function(env, exports, "ecdaaArithmetic", arithmetic);
  addon_function(env, exports, "ecdaaGroup", group);
  addon_function(env, exports, "ecdaaVerify", verify);
  addon_function(env, exports, "ecdaaPublicPoint", public_point);
  addon_function(env, exports, "ecdaaRespond", respond);
  addon_function(env, exports, "ecdaaIssue", issue);
  addon_function(env, exports, "ecdaaSign", sign);
  register_host_arithmetic(env, exports);
}
