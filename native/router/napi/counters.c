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

static napi_value counters_object(napi_env env, const struct dp_counters *counters, const struct router_drops *drops) {
  napi_value object, causes;
  if (napi_create_object(env, &object) != napi_ok || napi_create_object(env, &causes) != napi_ok) return NULL;
#define SET(field, name) addon_set(env, object, name, addon_new_number(env, (double)dp_value(&counters->field)));
  DP_COUNTERS(SET)
#undef SET
#define SET(field, name) addon_set(env, causes, name, addon_new_number(env, (double)dp_value(&drops->field)));
  ROUTER_DROPS(SET)
#undef SET
  addon_set(env, object, "drops", causes);
  return object;
}

napi_value router_peer_counters_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_peer *peer = router_peer_of(env, argument);
  return peer == NULL ? NULL : counters_object(env, &peer->counters, &peer->drops);
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
    napi_set_element(env, array, i, counters_object(env, &thread->counters, &thread->drops));
  }
  return array;
}
