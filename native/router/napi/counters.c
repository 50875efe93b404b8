// What JavaScript may read of a running router: its port, handshakes under way, counters.
#include "calls.h"
#include "addon/arguments.h"
#include "handle.h"
#include "packet/clock.h"

napi_value router_port_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct router_handle *handle = router_handle_called(env, info, &argument, 1);
  return handle == NULL || handle->router == NULL ? NULL : addon_new_number(env, handle->router->port);
}

napi_value router_pending_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct router_handle *handle = router_handle_called(env, info, &argument, 1);
  if (handle == NULL) return NULL;
  return addon_new_number(env, handle->router == NULL ? 0 : atomic_load(&handle->router->ratelimit.pending));
}

#define COUNT(field, name) +1
enum { COUNTERS = 0 DP_COUNTERS(COUNT), ALL = COUNTERS ROUTER_DROPS(COUNT) };
#undef COUNT

static napi_value names_of(napi_env env, const char *const *names, uint32_t count) {
  napi_value array;
  if (napi_create_array(env, &array) != napi_ok) return NULL;
  for (uint32_t i = 0; i < count; i++) napi_set_element(env, array, i, addon_new_text(env, names[i]));
  return array;
}

napi_value router_counter_names_call(napi_env env, napi_callback_info info) {
#define NAME(field, name) name,
  static const char *const names[ALL] = {DP_COUNTERS(NAME) ROUTER_DROPS(NAME)};
#undef NAME
  napi_value object;
  (void)info;
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  addon_set(env, object, "counters", names_of(env, names, COUNTERS));
  addon_set(env, object, "drops", names_of(env, names + COUNTERS, ALL - COUNTERS));
  return object;
}

// The values in the order of their names.
static napi_value values_of(napi_env env, const struct dp_counters *counters, const struct router_drops *drops) {
  napi_value buffer, array;
  double *value;
  if (napi_create_arraybuffer(env, ALL * sizeof *value, (void **)&value, &buffer) != napi_ok) return NULL;
#define PUT(field, name) *value++ = (double)dp_value(&counters->field);
  DP_COUNTERS(PUT)
#undef PUT
#define PUT(field, name) *value++ = (double)dp_value(&drops->field);
  ROUTER_DROPS(PUT)
#undef PUT
  return napi_create_typedarray(env, napi_float64_array, ALL, buffer, 0, &array) == napi_ok ? array : NULL;
}

napi_value router_peer_counters_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_peer *peer = router_peer_of(env, argument);
  return peer == NULL ? NULL : values_of(env, &peer->counters, &peer->drops);
}

napi_value router_peer_silence_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_peer *peer = router_peer_of(env, argument);
  if (peer == NULL) return NULL;
  uint64_t now = dp_now(), heard = dp_value(&peer->counters.heard);
  return addon_new_number(env, now > heard ? (double)((now - heard) / DP_MILLISECOND) : 0);
}

napi_value router_counters_call(napi_env env, napi_callback_info info) {
  napi_value argument, array;
  struct router_handle *handle = router_handle_called(env, info, &argument, 1);
  if (handle == NULL || napi_create_array(env, &array) != napi_ok) return NULL;
  for (uint32_t i = 0; handle->router != NULL && i < handle->router->threads; i++) {
    const struct router_thread *thread = &handle->router->thread[i];
    napi_set_element(env, array, i, values_of(env, &thread->counters, &thread->drops));
  }
  return array;
}
