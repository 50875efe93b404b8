// The client's functions for JavaScript (client.ts): commands, events and counters. Packets stay in the thread.
#include "napi.h"
#include "thread.h"
#include "connection.h"
#include "addon/handle.h"
#include "packet/clock.h"
#include "pkcs11/napi.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Freed when JavaScript has released its handle and the thread has ended.
struct dataplane {
  napi_env env;
  int references;
  struct dp_thread *thread;  // NULL once joined
  bool stopped;
  napi_threadsafe_function report;
  _Atomic uint32_t local_waiting;
};

// An event on its way to JavaScript, perhaps with a packet.
struct queued_event {
  struct dp_event event;
  uint32_t length;
  uint8_t packet[];
};

// Bounds the memory that a host can fill by sending packets for the LAN server, which are few otherwise.
enum { MAX_LOCAL_WAITING = 64 };

static const napi_type_tag DATAPLANE = {0x71c35a0e9db84f26, 0x9e60b1d7c24835fa};

static const char *const EVENTS[] = {
#define NAME(kind, name) [DP_EVENT_##kind] = name,
    DP_EVENTS(NAME)
#undef NAME
};

static void unreference(struct dataplane *dataplane) {
  if (--dataplane->references == 0) free(dataplane);
}

static void stop(struct dataplane *dataplane) {
  if (dataplane->stopped) return;
  dataplane->stopped = true;
  dp_thread_stop(dataplane->thread);
}

static void join(struct dataplane *dataplane) {
  if (dataplane->thread == NULL) return;
  struct dp_thread *thread = dataplane->thread;
  dataplane->thread = NULL;
  dp_thread_join(thread);
}

// The environment ends: JavaScript may not be called any more.
static void on_environment_end(void *data) {
  struct dataplane *dataplane = data;
  stop(dataplane);
  join(dataplane);
}

// The thread has released the function.
static void on_report_finalized(napi_env env, void *data, void *hint) {
  struct dataplane *dataplane = data;
  (void)hint;
  join(dataplane);
  napi_remove_env_cleanup_hook(env, on_environment_end, dataplane);
  unreference(dataplane);
}

static void release_dataplane(void *data) {
  struct dataplane *dataplane = data;
  if (dataplane->thread != NULL) stop(dataplane);
  unreference(dataplane);
}

// In the thread.
static void on_event(void *owner, const struct dp_event *event) {
  struct dataplane *dataplane = owner;
  struct queued_event *queued_event = calloc(1, sizeof *queued_event);
  if (queued_event == NULL) return;
  queued_event->event = *event;
  if (napi_call_threadsafe_function(dataplane->report, queued_event, napi_tsfn_nonblocking) != napi_ok) free(queued_event);
}

static bool queue_packet(struct dataplane *dataplane, struct dp_event event, const uint8_t *packet, uint32_t length) {
  struct queued_event *queued_event = calloc(1, sizeof *queued_event + length);
  if (queued_event == NULL) return false;
  queued_event->event = event;
  queued_event->length = length;
  memcpy(queued_event->packet, packet, length);
  if (napi_call_threadsafe_function(dataplane->report, queued_event, napi_tsfn_nonblocking) == napi_ok) return true;
  free(queued_event);
  return false;
}

// In the thread.
static void on_local(void *owner, const uint8_t *packet, uint32_t length) {
  struct dataplane *dataplane = owner;
  if (dataplane->local_waiting >= MAX_LOCAL_WAITING) return;
  dataplane->local_waiting++;
  if (!queue_packet(dataplane, (struct dp_event){.kind = DP_EVENT_LOCAL}, packet, length)) dataplane->local_waiting--;
}

// In the thread.
static void on_control(void *owner, uint32_t id, const uint8_t *packet, uint32_t length) {
  queue_packet(owner, (struct dp_event){.kind = DP_EVENT_CONTROL, .connection = id}, packet, length);
}

static void on_ended(void *owner) {
  struct dataplane *dataplane = owner;
  napi_release_threadsafe_function(dataplane->report, napi_tsfn_release);
}

// In JavaScript's thread.
static void call_report(napi_env env, napi_value callback, void *context, void *data) {
  struct dataplane *dataplane = context;
  struct queued_event *queued_event = data;
  struct dp_event *event = &queued_event->event;
  if (event->kind == DP_EVENT_LOCAL) dataplane->local_waiting--;
  if (env != NULL && !dataplane->stopped) {
    napi_value arguments[6], receiver, buffer;
    size_t count = 5;
    void *copy;
    napi_create_string_utf8(env, EVENTS[event->kind], NAPI_AUTO_LENGTH, &arguments[0]);
    napi_create_uint32(env, event->connection, &arguments[1]);
    napi_create_string_utf8(env, event->text, NAPI_AUTO_LENGTH, &arguments[2]);
    napi_create_uint32(env, event->number, &arguments[3]);
    napi_create_uint32(env, event->verdict, &arguments[4]);
    if (queued_event->length > 0 && napi_create_arraybuffer(env, queued_event->length, &copy, &buffer) == napi_ok) {
      memcpy(copy, queued_event->packet, queued_event->length);
      napi_create_typedarray(env, napi_uint8_array, queued_event->length, buffer, 0, &arguments[5]);
      count = 6;
    }
    napi_get_undefined(env, &receiver);
    napi_call_function(env, receiver, callback, count, arguments, NULL);
  }
  free(queued_event);
}

static napi_value dataplane_tun(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result, value;
  size_t count = 3;
  char name[IFNAMSIZ] = {0};
  uint32_t most;
  bool queues = false;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], name, sizeof name) || name[0] == '\0' || !addon_u32(env, arguments[1], &most) ||
      most > DP_OFFLOAD_UDP)
    return addon_bad(env, "dataplaneTun(name, offload): expected a name of 1 to 15 bytes, and 0, 1 or 2");
  napi_get_value_bool(env, arguments[2], &queues);  // or it is left out
  const char *doing;
  enum dp_offload offload;
  int fd = dp_tun_open(name, (enum dp_offload)most, queues, &offload, &doing);
  if (fd < 0) return addon_errno(env, -fd, doing);
  napi_create_object(env, &result);
  napi_create_int32(env, fd, &value);
  napi_set_named_property(env, result, "fd", value);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, result, "name", value);
  napi_create_uint32(env, offload, &value);
  napi_set_named_property(env, result, "offload", value);
  return result;
}

// dataplaneStart's arguments but the callback; false if one is wrong.
static bool read_rules(napi_env env, const napi_value *arguments, uint32_t *fd, uint32_t *offload, struct dp_rules *rules) {
  uint8_t *own;
  size_t length;
  if (!addon_u32(env, arguments[0], fd) || *fd > INT32_MAX || !addon_u32(env, arguments[1], offload) ||
      *offload > DP_OFFLOAD_UDP || !addon_bytes(env, arguments[2], &own, &length) || length != sizeof rules->filter.own)
    return false;
  memcpy(rules->filter.own, own, length);
  return napi_get_value_bool(env, arguments[3], &rules->filter.ipv4) == napi_ok &&
         addon_u32(env, arguments[4], &rules->heartbeat_period_ms) && rules->heartbeat_period_ms > 0 &&
         addon_u32(env, arguments[5], &rules->heartbeat_timeout_ms) && rules->heartbeat_timeout_ms > 0;
}

// Frees what dataplaneStart has made before the thread ran.
static napi_value abandon(napi_env env, struct dataplane *dataplane, int error) {
  if (dataplane->report != NULL) napi_release_threadsafe_function(dataplane->report, napi_tsfn_abort);
  else unreference(dataplane);
  return addon_errno(env, error, "starting the data plane");
}

static napi_value dataplane_start(napi_env env, napi_callback_info info) {
  napi_value arguments[9], name;
  size_t count = 9;
  uint32_t fd, offload;
  bool local = false;
  struct dp_rules rules = {0};
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!read_rules(env, arguments, &fd, &offload, &rules) || napi_typeof(env, arguments[6], &type) != napi_ok ||
      type != napi_function)
    return addon_bad(env, "dataplaneStart(fd, offload, own, allowIpv4, periodMs, timeoutMs, onEvent): expected a descriptor, "
                          "0 to 2, 16 bytes, a boolean, two positive numbers and a function");
  napi_get_value_bool(env, arguments[7], &local);  // or it is left out, and so may be the next one
  napi_get_value_bool(env, arguments[8], &rules.shortened);
  struct dataplane *dataplane = calloc(1, sizeof *dataplane);
  if (dataplane == NULL) return addon_errno(env, ENOMEM, "starting the data plane");
  dataplane->env = env;
  dataplane->references = 1;
  napi_create_string_utf8(env, "enf.dataplane", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, arguments[6], NULL, name, 0, 1, dataplane, on_report_finalized, dataplane, call_report,
                                      &dataplane->report) != napi_ok)
    return abandon(env, dataplane, ENOMEM);
  int error = dp_thread_start(&rules, (int)fd, (enum dp_offload)offload, (struct dp_listener){dataplane, on_event, on_ended, local ? on_local : NULL, on_control},
                              &dataplane->thread);
  if (error != 0) return abandon(env, dataplane, error);
  napi_add_env_cleanup_hook(env, on_environment_end, dataplane);
  dataplane->references++;
  return handle_new(env, &DATAPLANE, dataplane, release_dataplane);
}

static bool read_options(napi_env env, const napi_value *arguments, struct dp_connect_options *options) {
  uint32_t fd;
  uint8_t *certificate;
  size_t length;
  if (!addon_u32(env, arguments[0], &options->id) || !addon_u32(env, arguments[1], &fd) || fd > INT32_MAX ||
      !addon_u32(env, arguments[2], &options->timeout_ms) ||
      !addon_bytes(env, arguments[4], &certificate, &options->certificate_length) || options->certificate_length > 65536 ||
      napi_get_value_bool(env, arguments[6], &options->super) != napi_ok)
    return false;
  options->roots = addon_copy_text(env, arguments[3], &length);
  options->token_key = pkcs11_key_of(env, arguments[5]);
  if (options->token_key != NULL) EVP_PKEY_up_ref(options->token_key);
  options->key = options->token_key != NULL ? calloc(1, 1) : addon_copy_text(env, arguments[5], &length);
  napi_valuetype type = napi_undefined;
  napi_get_value_bool(env, arguments[8], &options->beside);  // or it is left out
  if (napi_typeof(env, arguments[7], &type) != napi_ok) return false;
  options->names = type == napi_undefined ? calloc(1, 1) : addon_copy_text(env, arguments[7], &length);
  options->certificate = malloc(options->certificate_length + 1);
  if (options->roots == NULL || options->key == NULL || options->names == NULL || options->certificate == NULL) return false;
  memcpy(options->certificate, certificate, options->certificate_length);
  options->fd = (int)fd;
  return true;
}

static struct dataplane *dataplane_of(napi_env env, napi_value value) {
  struct dataplane *dataplane = handle_data(env, value, &DATAPLANE);
  if (dataplane == NULL) addon_bad(env, "not a data plane");
  return dataplane;
}

static napi_value dataplane_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[10];
  size_t count = 10;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, arguments[0]);
  if (dataplane == NULL) return NULL;
  if (dataplane->stopped) return addon_errno(env, EBADF, "connecting a closed data plane");
  struct dp_connect_options *options = calloc(1, sizeof *options);
  if (options == NULL) return addon_errno(env, ENOMEM, "connecting");
  options->fd = -1;
  if (!read_options(env, arguments + 1, options)) {
    dp_connect_options_free(options);
    return addon_bad(env, "dataplaneConnect(dataplane, id, fd, timeoutMs, roots, certificate, key, super, names): expected numbers, PEM "
                          "text, DER, PEM text or a key in a token, a boolean and text");
  }
  dp_thread_connect(dataplane->thread, options);
  return NULL;
}

static napi_value dataplane_disconnect(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, argument);
  if (dataplane != NULL && !dataplane->stopped) dp_thread_disconnect(dataplane->thread);
  return NULL;
}

static napi_value dataplane_probe(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, argument);
  if (dataplane != NULL && !dataplane->stopped) dp_thread_probe(dataplane->thread);
  return NULL;
}

static napi_value dataplane_send_control(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length = 0;
  uint8_t *packet = NULL;
  uint32_t id;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, arguments[0]);
  if (dataplane == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &id) || !addon_bytes(env, arguments[2], &packet, &length) || length == 0 || length > DP_MAX_CONTROL)
    return addon_bad(env, "dataplaneSendControl(dataplane, id, packet): expected a number and a Uint8Array with a control message");
  if (!dataplane->stopped) dp_thread_send_control(dataplane->thread, id, packet, (uint32_t)length);
  return NULL;
}

static napi_value dataplane_set_prefix(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, length = 0;
  uint8_t *prefix = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, arguments[0]);
  if (dataplane == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &prefix, &length) || (length != 0 && length != 8))
    return addon_bad(env, "dataplaneSetPrefix(dataplane, prefix): expected a Uint8Array of 0 or 8 bytes");
  if (!dataplane->stopped) dp_thread_set_prefix(dataplane->thread, length == 0 ? NULL : prefix);
  return NULL;
}

// dataplaneSilence(dataplane, graceMs): undefined, or milliseconds since something was received.
static napi_value dataplane_silence(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2;
  uint32_t grace_ms;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, arguments[0]);
  if (dataplane == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &grace_ms)) return addon_bad(env, "dataplaneSilence(dataplane, graceMs): expected a number");
  if (dataplane->thread == NULL) return NULL;
  const struct dp_counters *counters = dp_thread_counters(dataplane->thread);
  uint64_t now = dp_now(), unanswered = dp_value(&counters->unanswered), heard = dp_value(&counters->heard);
  if (unanswered == 0 || now - unanswered < (uint64_t)grace_ms * DP_MILLISECOND) return NULL;
  napi_create_double(env, (double)((now - heard) / DP_MILLISECOND), &result);
  return result;
}

static napi_value dataplane_counters(napi_env env, napi_callback_info info) {
  napi_value argument, result, number;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, argument);
  if (dataplane == NULL) return NULL;
  if (dataplane->thread == NULL) return addon_errno(env, EBADF, "reading the counters of a closed data plane");
  const struct dp_counters *counters = dp_thread_counters(dataplane->thread);
  napi_create_object(env, &result);
#define SET(field, name)                                              \
  napi_create_double(env, (double)dp_value(&counters->field), &number); \
  napi_set_named_property(env, result, name, number);
  DP_COUNTERS(SET)
#undef SET
  return result;
}

static napi_value dataplane_deliver(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2, length = 0;
  uint8_t *packet = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, arguments[0]);
  if (dataplane == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &packet, &length) || length == 0 || length > WIRE_MAX_PACKET)
    return addon_bad(env, "dataplaneDeliver(dataplane, packet): expected a Uint8Array that fits a frame");
  napi_get_boolean(env, !dataplane->stopped && dp_thread_deliver(dataplane->thread, packet, length), &result);
  return result;
}

static napi_value dataplane_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dataplane *dataplane = dataplane_of(env, argument);
  if (dataplane == NULL || dataplane->stopped) return NULL;
  stop(dataplane);
  // The thread may have to wait for the TPM; the process does not wait for the thread.
  napi_unref_threadsafe_function(env, dataplane->report);
  return NULL;
}

void register_dataplane(napi_env env, napi_value exports) {
  addon_function(env, exports, "dataplaneTun", dataplane_tun);
  addon_function(env, exports, "dataplaneStart", dataplane_start);
  addon_function(env, exports, "dataplaneConnect", dataplane_connect);
  addon_function(env, exports, "dataplaneDisconnect", dataplane_disconnect);
  addon_function(env, exports, "dataplaneProbe", dataplane_probe);
  addon_function(env, exports, "dataplaneSendControl", dataplane_send_control);
  addon_function(env, exports, "dataplaneDeliver", dataplane_deliver);
  addon_function(env, exports, "dataplaneSetPrefix", dataplane_set_prefix);
  addon_function(env, exports, "dataplaneCounters", dataplane_counters);
  addon_function(env, exports, "dataplaneSilence", dataplane_silence);
  addon_function(env, exports, "dataplaneClose", dataplane_close);
}
