// The data plane's face to JavaScript (dataplane.ts): it gives orders, hears of changes and reads counters; packets stay below.
#include "thread.h"
#include "addon/handle.h"
#include "module.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Lives until JavaScript has let go of its handle and the thread has ended.
struct plane {
  napi_env env;
  int references;
  struct dp_thread *thread;  // NULL once joined
  bool stopped;
  napi_threadsafe_function report;
  _Atomic uint32_t local_waiting;
};

// An event on its way to JavaScript, perhaps with a packet.
struct told {
  struct dp_event event;
  uint32_t length;
  uint8_t packet[];
};

// Local packets are few; a host that floods us with them must not fill our memory.
enum { MAX_LOCAL_WAITING = 64 };

static const napi_type_tag PLANE = {0x71c35a0e9db84f26, 0x9e60b1d7c24835fa};

static const char *const EVENTS[] = {
    [DP_EVENT_UP] = "up",
    [DP_EVENT_VERDICT] = "verdict",
    [DP_EVENT_ASKED] = "asked",
    [DP_EVENT_TUN_LOST] = "tun-lost",
    [DP_EVENT_BAD_ROOT] = "bad-root",
    [DP_EVENT_BAD_CREDENTIALS] = "bad-credentials",
    [DP_EVENT_UNTRUSTED] = "untrusted",
    [DP_EVENT_CLOCK] = "clock",
    [DP_EVENT_HANDSHAKE] = "handshake",
    [DP_EVENT_CLOSED] = "closed",
    [DP_EVENT_BROKEN] = "broken",
    [DP_EVENT_OVERSIZED] = "oversized",
    [DP_EVENT_SILENT] = "silent",
    [DP_EVENT_LOCAL] = "local",
};

static void unreference(struct plane *plane) {
  if (--plane->references == 0) free(plane);
}

static void stop(struct plane *plane) {
  if (plane->stopped) return;
  plane->stopped = true;
  dp_thread_stop(plane->thread);
}

static void join(struct plane *plane) {
  if (plane->thread == NULL) return;
  struct dp_thread *thread = plane->thread;
  plane->thread = NULL;
  dp_thread_join(thread);
}

// The environment ends: nothing of it may be called any more.
static void on_environment_end(void *data) {
  struct plane *plane = data;
  stop(plane);
  join(plane);
}

// The thread has given the function back.
static void on_report_finalized(napi_env env, void *data, void *hint) {
  struct plane *plane = data;
  (void)hint;
  join(plane);
  napi_remove_env_cleanup_hook(env, on_environment_end, plane);
  unreference(plane);
}

static void release_plane(void *data) {
  struct plane *plane = data;
  if (plane->thread != NULL) stop(plane);
  unreference(plane);
}

// In the thread.
static void on_event(void *owner, const struct dp_event *event) {
  struct plane *plane = owner;
  struct told *told = calloc(1, sizeof *told);
  if (told == NULL) return;
  told->event = *event;
  if (napi_call_threadsafe_function(plane->report, told, napi_tsfn_nonblocking) != napi_ok) free(told);
}

// In the thread.
static void on_local(void *owner, const uint8_t *packet, uint32_t length) {
  struct plane *plane = owner;
  if (plane->local_waiting >= MAX_LOCAL_WAITING) return;
  struct told *told = calloc(1, sizeof *told + length);
  if (told == NULL) return;
  told->event.kind = DP_EVENT_LOCAL;
  told->length = length;
  memcpy(told->packet, packet, length);
  plane->local_waiting++;
  if (napi_call_threadsafe_function(plane->report, told, napi_tsfn_nonblocking) == napi_ok) return;
  plane->local_waiting--;
  free(told);
}

static void on_ended(void *owner) {
  struct plane *plane = owner;
  napi_release_threadsafe_function(plane->report, napi_tsfn_release);
}

// In JavaScript's thread.
static void call_report(napi_env env, napi_value callback, void *context, void *data) {
  struct plane *plane = context;
  struct told *told = data;
  struct dp_event *event = &told->event;
  if (event->kind == DP_EVENT_LOCAL) plane->local_waiting--;
  if (env != NULL && !plane->stopped) {
    napi_value arguments[6], receiver, buffer;
    size_t count = 5;
    void *copy;
    napi_create_string_utf8(env, EVENTS[event->kind], NAPI_AUTO_LENGTH, &arguments[0]);
    napi_create_uint32(env, event->connection, &arguments[1]);
    napi_create_string_utf8(env, event->text, NAPI_AUTO_LENGTH, &arguments[2]);
    napi_create_uint32(env, event->number, &arguments[3]);
    napi_create_uint32(env, event->verdict, &arguments[4]);
    if (told->length > 0 && napi_create_arraybuffer(env, told->length, &copy, &buffer) == napi_ok) {
      memcpy(copy, told->packet, told->length);
      napi_create_typedarray(env, napi_uint8_array, told->length, buffer, 0, &arguments[5]);
      count = 6;
    }
    napi_get_undefined(env, &receiver);
    napi_call_function(env, receiver, callback, count, arguments, NULL);
  }
  free(told);
}

static napi_value plane_tun(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result, value;
  size_t count = 3;
  char name[IFNAMSIZ] = {0};
  uint32_t most;
  bool queues = false;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], name, sizeof name) || name[0] == '\0' || !addon_u32(env, arguments[1], &most) ||
      most > DP_OFFLOAD_UDP)
    return addon_bad(env, "planeTun(name, offload): expected a name of 1 to 15 bytes, and 0, 1 or 2");
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

// planeStart's arguments but the callback; false if one is wrong.
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

// Frees what planeStart has made before the thread ran.
static napi_value abandon(napi_env env, struct plane *plane, int error) {
  if (plane->report != NULL) napi_release_threadsafe_function(plane->report, napi_tsfn_abort);
  else unreference(plane);
  return addon_errno(env, error, "starting the data plane");
}

static napi_value plane_start(napi_env env, napi_callback_info info) {
  napi_value arguments[8], name;
  size_t count = 8;
  uint32_t fd, offload;
  bool local = false;
  struct dp_rules rules = {0};
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!read_rules(env, arguments, &fd, &offload, &rules) || napi_typeof(env, arguments[6], &type) != napi_ok ||
      type != napi_function)
    return addon_bad(env, "planeStart(fd, offload, own, allowIpv4, periodMs, timeoutMs, onEvent): expected a descriptor, "
                          "0 to 2, 16 bytes, a boolean, two positive numbers and a function");
  napi_get_value_bool(env, arguments[7], &local);  // or it is left out
  struct plane *plane = calloc(1, sizeof *plane);
  if (plane == NULL) return addon_errno(env, ENOMEM, "starting the data plane");
  plane->env = env;
  plane->references = 1;
  napi_create_string_utf8(env, "enf.dataplane", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, arguments[6], NULL, name, 0, 1, plane, on_report_finalized, plane, call_report,
                                      &plane->report) != napi_ok)
    return abandon(env, plane, ENOMEM);
  int error = dp_thread_start(&rules, (int)fd, (enum dp_offload)offload, (struct dp_listener){plane, on_event, on_ended, local ? on_local : NULL},
                              &plane->thread);
  if (error != 0) return abandon(env, plane, error);
  napi_add_env_cleanup_hook(env, on_environment_end, plane);
  plane->references++;
  return handle_new(env, &PLANE, plane, release_plane);
}

// A copy of a JavaScript string; NULL if it is none or has a NUL in it.
static char *text_of(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = malloc(length + 1);
  if (text != NULL && napi_get_value_string_utf8(env, value, text, length + 1, &length) == napi_ok && strlen(text) == length)
    return text;
  free(text);
  return NULL;
}

static bool read_order(napi_env env, const napi_value *arguments, struct dp_order *order) {
  uint32_t fd;
  uint8_t *certificate;
  if (!addon_u32(env, arguments[0], &order->id) || !addon_u32(env, arguments[1], &fd) || fd > INT32_MAX ||
      !addon_u32(env, arguments[2], &order->timeout_ms) ||
      !addon_bytes(env, arguments[4], &certificate, &order->certificate_length) || order->certificate_length > 65536 ||
      napi_get_value_bool(env, arguments[6], &order->super) != napi_ok)
    return false;
  order->roots = text_of(env, arguments[3]);
  order->key = text_of(env, arguments[5]);
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, arguments[7], &type) != napi_ok) return false;
  order->names = type == napi_undefined ? calloc(1, 1) : text_of(env, arguments[7]);
  order->certificate = malloc(order->certificate_length + 1);
  if (order->roots == NULL || order->key == NULL || order->names == NULL || order->certificate == NULL) return false;
  memcpy(order->certificate, certificate, order->certificate_length);
  order->fd = (int)fd;
  return true;
}

static struct plane *plane_of(napi_env env, napi_value value) {
  struct plane *plane = handle_data(env, value, &PLANE);
  if (plane == NULL) addon_bad(env, "not a data plane");
  return plane;
}

static napi_value plane_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[9];
  size_t count = 9;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct plane *plane = plane_of(env, arguments[0]);
  if (plane == NULL) return NULL;
  if (plane->stopped) return addon_errno(env, EBADF, "connecting a closed data plane");
  struct dp_order *order = calloc(1, sizeof *order);
  if (order == NULL) return addon_errno(env, ENOMEM, "connecting");
  order->fd = -1;
  if (!read_order(env, arguments + 1, order)) {
    dp_order_free(order);
    return addon_bad(env, "planeConnect(plane, id, fd, timeoutMs, roots, certificate, key, super, names): expected numbers, PEM "
                          "text, DER, PEM text, a boolean and text");
  }
  dp_thread_connect(plane->thread, order);
  return NULL;
}

static napi_value plane_disconnect(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct plane *plane = plane_of(env, argument);
  if (plane != NULL && !plane->stopped) dp_thread_disconnect(plane->thread);
  return NULL;
}

static napi_value plane_probe(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct plane *plane = plane_of(env, argument);
  if (plane != NULL && !plane->stopped) dp_thread_probe(plane->thread);
  return NULL;
}

static napi_value plane_tell(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length = 0;
  uint8_t *packet = NULL;
  uint32_t id;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct plane *plane = plane_of(env, arguments[0]);
  if (plane == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &id) || !addon_bytes(env, arguments[2], &packet, &length) || length == 0 || length > DP_NOTE)
    return addon_bad(env, "planeTell(plane, id, packet): expected a number and a Uint8Array of 1 to 71 bytes");
  if (!plane->stopped) dp_thread_tell(plane->thread, id, packet, (uint32_t)length);
  return NULL;
}

static napi_value plane_counters(napi_env env, napi_callback_info info) {
  napi_value argument, result, number;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct plane *plane = plane_of(env, argument);
  if (plane == NULL) return NULL;
  if (plane->thread == NULL) return addon_errno(env, EBADF, "reading the counters of a closed data plane");
  const struct dp_counters *counters = dp_thread_counters(plane->thread);
  napi_create_object(env, &result);
#define SET(field, name)                                              \
  napi_create_double(env, (double)dp_value(&counters->field), &number); \
  napi_set_named_property(env, result, name, number);
  DP_COUNTERS(SET)
#undef SET
  return result;
}

static napi_value plane_deliver(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2, length = 0;
  uint8_t *packet = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct plane *plane = plane_of(env, arguments[0]);
  if (plane == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &packet, &length) || length == 0 || length > DP_MAX_PACKET)
    return addon_bad(env, "planeDeliver(plane, packet): expected a Uint8Array of 1 to 1496 bytes");
  napi_get_boolean(env, !plane->stopped && dp_thread_deliver(plane->thread, packet, length), &result);
  return result;
}

static napi_value plane_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct plane *plane = plane_of(env, argument);
  if (plane == NULL || plane->stopped) return NULL;
  stop(plane);
  // The thread may have to wait for the TPM; the process need not.
  napi_unref_threadsafe_function(env, plane->report);
  return NULL;
}

void register_dataplane(napi_env env, napi_value exports) {
  addon_function(env, exports, "planeTun", plane_tun);
  addon_function(env, exports, "planeStart", plane_start);
  addon_function(env, exports, "planeConnect", plane_connect);
  addon_function(env, exports, "planeDisconnect", plane_disconnect);
  addon_function(env, exports, "planeProbe", plane_probe);
  addon_function(env, exports, "planeTell", plane_tell);
  addon_function(env, exports, "planeDeliver", plane_deliver);
  addon_function(env, exports, "planeCounters", plane_counters);
  addon_function(env, exports, "planeClose", plane_close);
}
