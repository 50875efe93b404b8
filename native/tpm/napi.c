// The JavaScript face of the TPM part: argument checks, promises, and the end of an environment (Worker, process.exit).
#include "napi.h"
#include "addon/arguments.h"
#include "tpm/provider/provider.h"
#include "tss.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_rc.h>

// How long the end of an environment waits for a running command: exit() must not take OpenSSL away under ESYS.
#define END_WAIT_MS 1000

static const napi_type_tag context_tag = {0x656e662d74706d21, 0x8d1c5a7be2f04936};

// A context as JavaScript holds it. Referenced by its object, by the threadsafe function and by each job under way.
struct face {
  pthread_mutex_t lock;
  unsigned references;
  napi_threadsafe_function deliver;  // NULL once the environment is gone
  struct tss_context *context;
  // Only the JavaScript thread uses these.
  unsigned pending;
  bool collected;
};

static void release_face(struct face *face) {
  pthread_mutex_lock(&face->lock);
  bool last = --face->references == 0;
  pthread_mutex_unlock(&face->lock);
  if (!last) return;
  pthread_mutex_destroy(&face->lock);
  free(face);
}

static void retain_face(struct face *face) {
  pthread_mutex_lock(&face->lock);
  face->references++;
  pthread_mutex_unlock(&face->lock);
}

// On the TPM thread: hands a finished job over to JavaScript, or drops it if the environment is gone.
static void post(struct tss_job *job) {
  struct face *face = job->owner;
  pthread_mutex_lock(&face->lock);
  bool posted = face->deliver && napi_call_threadsafe_function(face->deliver, job, napi_tsfn_nonblocking) == napi_ok;
  if (!posted) face->deliver = NULL;
  pthread_mutex_unlock(&face->lock);
  if (posted) return;
  tss_job_free(job);
  release_face(face);
}

// Whether the event loop stays alive for this context's answers.
static void hold_loop(napi_env env, struct face *face, bool hold) {
  pthread_mutex_lock(&face->lock);
  if (face->deliver && hold) napi_ref_threadsafe_function(env, face->deliver);
  if (face->deliver && !hold) napi_unref_threadsafe_function(env, face->deliver);
  pthread_mutex_unlock(&face->lock);
}

// Nothing can be made in an environment that is being terminated: then these return NULL.
static napi_value numbers_of(napi_env env, const struct tss_job *job) {
  napi_value array, value;
  if (napi_create_array_with_length(env, job->given_number_count, &array) != napi_ok) return NULL;
  for (size_t i = 0; i < job->given_number_count; i++) {
    if (napi_create_uint32(env, job->given_numbers[i], &value) != napi_ok ||
        napi_set_element(env, array, (uint32_t)i, value) != napi_ok)
      return NULL;
  }
  return array;
}

static napi_value bytes_of(napi_env env, const struct tss_bytes *bytes) {
  void *data = NULL;
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, bytes->length, &data, &buffer) != napi_ok) return NULL;
  if (bytes->length) memcpy(data, bytes->data, bytes->length);
  return napi_create_typedarray(env, napi_uint8_array, bytes->length, buffer, 0, &array) == napi_ok ? array : NULL;
}

static napi_value buffers_of(napi_env env, const struct tss_job *job) {
  napi_value array;
  if (napi_create_array_with_length(env, job->given_count, &array) != napi_ok) return NULL;
  for (size_t i = 0; i < job->given_count; i++) {
    napi_value bytes = bytes_of(env, &job->given[i]);
    if (!bytes || napi_set_element(env, array, (uint32_t)i, bytes) != napi_ok) return NULL;
  }
  return array;
}

static napi_value answer_of(napi_env env, const struct tss_job *job) {
  napi_value answer, rc, numbers = numbers_of(env, job), buffers = buffers_of(env, job);
  if (!numbers || !buffers || napi_create_object(env, &answer) != napi_ok ||
      napi_create_uint32(env, job->rc, &rc) != napi_ok || napi_set_named_property(env, answer, "rc", rc) != napi_ok ||
      napi_set_named_property(env, answer, "numbers", numbers) != napi_ok ||
      napi_set_named_property(env, answer, "buffers", buffers) != napi_ok)
    return NULL;
  return answer;
}

// The threadsafe function is released when no more jobs can be submitted and none is under way.
static void retire(struct face *face) {
  if (!face->collected || face->pending) return;
  pthread_mutex_lock(&face->lock);
  napi_threadsafe_function deliver = face->deliver;
  face->deliver = NULL;
  pthread_mutex_unlock(&face->lock);
  if (deliver) napi_release_threadsafe_function(deliver, napi_tsfn_release);
}

static void deliver(napi_env env, napi_value unused, void *hint, void *data) {
  (void)unused;
  (void)hint;
  struct tss_job *job = data;
  struct face *face = job->owner;
  if (env) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) == napi_ok) {
      napi_value answer = answer_of(env, job);
      if (answer) napi_resolve_deferred(env, job->deferred, answer);
      napi_close_handle_scope(env, scope);
    }
    if (--face->pending == 0) hold_loop(env, face, false);
    retire(face);
  }
  tss_job_free(job);
  release_face(face);
}

static void environment_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct face *face = data;
  pthread_mutex_lock(&face->lock);
  face->deliver = NULL;
  pthread_mutex_unlock(&face->lock);
  release_face(face);
}

// The environment ends while the context is open: a Worker's end, process.exit().
static void environment_ending(void *data) {
  struct face *face = data;
  pthread_mutex_lock(&face->lock);
  face->deliver = NULL;
  pthread_mutex_unlock(&face->lock);
  provider_forget_context(face->context);
  tss_stop(face->context, NULL);
  tss_await_end(face->context, END_WAIT_MS);
}

// JavaScript holds the context no longer. A TLS key that is still in use keeps its thread.
static void collected(napi_env env, void *data, void *hint) {
  (void)hint;
  struct face *face = data;
  napi_remove_env_cleanup_hook(env, environment_ending, face);
  face->collected = true;
  tss_context_release(face->context);
  retire(face);
  release_face(face);
}

static struct face *new_face(void) {
  struct face *face = calloc(1, sizeof *face);
  if (!face) return NULL;
  face->context = tss_context_new();
  if (!face->context) {
    free(face);
    return NULL;
  }
  pthread_mutex_init(&face->lock, NULL);
  face->references = 2;
  return face;
}

static napi_value start(napi_env env, napi_callback_info info) {
  (void)info;
  struct face *face = new_face();
  if (!face) return addon_errno(env, ENOMEM, "TPM thread");
  napi_value object, name;
  if (napi_create_object(env, &object) != napi_ok ||
      napi_create_string_utf8(env, "enf-tpm", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, face, environment_gone, NULL, deliver,
                                      &face->deliver) != napi_ok) {
    tss_context_release(face->context);
    face->references = 1;
    release_face(face);
    return addon_errno(env, ENOMEM, "TPM queue");
  }
  napi_unref_threadsafe_function(env, face->deliver);
  // After the function's own hook, so that it runs before it.
  napi_add_env_cleanup_hook(env, environment_ending, face);
  if (napi_wrap(env, object, face, collected, NULL, NULL) != napi_ok) {
    collected(env, face, NULL);
    return NULL;
  }
  napi_type_tag_object(env, object, &context_tag);
  return object;
}

// The face behind a JavaScript value, or NULL if it is something else.
static struct face *face_of(napi_env env, napi_value value) {
  bool ours = false;
  void *data = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return NULL;
  if (napi_check_object_type_tag(env, value, &context_tag, &ours) != napi_ok || !ours) return NULL;
  return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}

static const char *read_numbers(napi_env env, napi_value array, struct tss_job *job) {
  uint32_t length;
  bool is_array = false;
  if (napi_is_array(env, array, &is_array) != napi_ok || !is_array) return "numbers: expected an array";
  napi_get_array_length(env, array, &length);
  if (length != job->command->numbers) return "numbers: wrong count for this command";
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    if (napi_get_element(env, array, i, &element) != napi_ok || !addon_u32(env, element, &job->numbers[i]))
      return "numbers: expected integers in 0 … 2^32-1";
    if (job->command->objects >> i & 1 && job->numbers[i] == ESYS_TR_NONE) return "numbers: not an object";
  }
  return NULL;
}

static const char *read_buffers(napi_env env, napi_value array, struct tss_job *job) {
  uint32_t length;
  bool is_array = false;
  if (napi_is_array(env, array, &is_array) != napi_ok || !is_array) return "buffers: expected an array";
  napi_get_array_length(env, array, &length);
  if (length != job->command->buffers) return "buffers: wrong count for this command";
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    uint8_t *data;
    size_t size;
    if (napi_get_element(env, array, i, &element) != napi_ok || !addon_bytes(env, element, &data, &size))
      return "buffers: expected Uint8Arrays";
    if (size > job->command->largest) return "buffers: longer than this command takes";
    if (!tss_job_buffer(job, i, data, size)) return "buffers: out of memory";
  }
  return NULL;
}

// Makes the promise and lets the face wait for the job. NULL, and the job is gone, in an environment that is ending.
static napi_value expect(napi_env env, struct face *face, struct tss_job *job) {
  napi_value promise;
  napi_deferred deferred;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
    tss_job_free(job);
    return NULL;
  }
  job->deferred = deferred;
  job->owner = face;
  job->finish = post;
  retain_face(face);
  face->pending++;
  return promise;
}

static napi_value call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  char name[32];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct face *face = count < 4 ? NULL : face_of(env, arguments[0]);
  if (!face) return addon_bad(env, "tssCall(context, command, numbers, buffers): not a context");
  const struct tss_command *command = addon_text(env, arguments[1], name, sizeof name) ? tss_command_named(name) : NULL;
  if (!command) return addon_bad(env, "tssCall: no such command");
  struct tss_job *job = tss_job_new(command);
  if (!job) return addon_errno(env, ENOMEM, "tssCall");
  const char *wrong = read_numbers(env, arguments[2], job);
  if (!wrong) wrong = read_buffers(env, arguments[3], job);
  if (wrong) {
    tss_job_free(job);
    return addon_bad(env, wrong);
  }
  napi_value promise = expect(env, face, job);
  if (!promise) return NULL;
  hold_loop(env, face, true);
  if (!tss_submit(face->context, job)) {
    job->rc = TSS2_ESYS_RC_BAD_SEQUENCE;
    post(job);
  }
  return promise;
}

static napi_value stop(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct face *face = count < 1 ? NULL : face_of(env, argument);
  if (!face) return addon_bad(env, "tssStop(context): not a context");
  struct tss_job *farewell = tss_job_new(NULL);
  if (!farewell) return addon_errno(env, ENOMEM, "tssStop");
  napi_value promise = expect(env, face, farewell);
  if (!promise) return NULL;
  // A thread stuck in a TPM that never answers must not keep the process from ending.
  hold_loop(env, face, false);
  tss_stop(face->context, farewell);
  return promise;
}

static napi_value alive(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct face *face = count < 1 ? NULL : face_of(env, argument);
  if (!face) return addon_bad(env, "tssAlive(context): not a context");
  napi_get_boolean(env, tss_alive(face->context), &result);
  return result;
}

static napi_value decode(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  uint32_t rc;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (count < 1 || !addon_u32(env, argument, &rc)) return addon_bad(env, "tssDecode(rc): expected a number");
  napi_create_string_utf8(env, Tss2_RC_Decode(rc), NAPI_AUTO_LENGTH, &result);
  return result;
}

// tlsKey(context, object, point, timeoutMs) → { id, pem }
static napi_value tls_key(napi_env env, napi_callback_info info) {
  napi_value arguments[4], result, value;
  size_t count = 4, length = 0;
  uint32_t object, timeout_ms, id;
  uint8_t *point = NULL;
  char pem[PROVIDER_PEM_BYTES];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct face *face = count < 4 ? NULL : face_of(env, arguments[0]);
  if (!face || !addon_u32(env, arguments[1], &object) || !addon_bytes(env, arguments[2], &point, &length) ||
      length != PROVIDER_POINT_BYTES || !addon_u32(env, arguments[3], &timeout_ms) || object == ESYS_TR_NONE)
    return addon_bad(env, "tssTlsKey(context, object, point of 65 bytes, timeoutMs)");
  const char *wrong = provider_register(face->context, object, point, timeout_ms, &id, pem);
  if (wrong) {
    napi_throw_error(env, "EPROVIDER", wrong);
    return NULL;
  }
  napi_create_object(env, &result);
  napi_create_uint32(env, id, &value);
  napi_set_named_property(env, result, "id", value);
  napi_create_string_utf8(env, pem, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, result, "pem", value);
  return result;
}

static napi_value tls_forget(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  uint32_t id;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (count < 1 || !addon_u32(env, argument, &id)) return addon_bad(env, "tssTlsForget(id): expected a number");
  provider_forget(id);
  return NULL;
}

void register_tss(napi_env env, napi_value exports) {
  // The libraries would write to stderr by themselves; failures are reported by us, once and with a code.
  setenv("TSS2_LOG", "all+NONE", 0);
  addon_function(env, exports, "tssStart", start);
  addon_function(env, exports, "tssCall", call);
  addon_function(env, exports, "tssStop", stop);
  addon_function(env, exports, "tssAlive", alive);
  addon_function(env, exports, "tssDecode", decode);
  addon_function(env, exports, "tssTlsKey", tls_key);
  addon_function(env, exports, "tssTlsForget", tls_forget);
}
