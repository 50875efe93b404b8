// The router and its peers as JavaScript holds them, and what the router's threads report to it.
#include "handle.h"
#include "addon/handle.h"
#include "pki/describe.h"
#include <errno.h>
#include <stdlib.h>

static const napi_type_tag ROUTER = {0x1f0b5e7dd1c948a3, 0xb16c2a90f3e74d58};
static const napi_type_tag PEER = {0x84e1d7723b5f4c06, 0x9a35c0f81d6be247};

static const char *const EVENTS[] = {
#define NAME(kind, name) [ROUTER_##kind] = name,
    ROUTER_EVENTS(NAME)
#undef NAME
};

static void unreference(struct router_handle *handle) {
  if (--handle->references == 0) free(handle);
}

void router_handle_stop(struct router_handle *handle, bool hard) {
  struct router_command command = {.kind = ROUTER_SHUT_DOWN, .hard = hard};
  if (handle->router == NULL || (handle->stopped && !hard)) return;
  handle->stopped = true;
  router_broadcast_command(handle->router, &command);
}

static void join(struct router_handle *handle) {
  struct router *router = handle->router;
  handle->router = NULL;
  if (router != NULL) router_join(router);
}

// The environment ends: JavaScript may not be called any more.
static void on_environment_end(void *data) {
  struct router_handle *handle = data;
  handle->mute = true;
  router_handle_stop(handle, true);
  join(handle);
}

// All threads have released the function.
static void on_report_finalized(napi_env env, void *data, void *hint) {
  struct router_handle *handle = data;
  (void)hint;
  join(handle);
  napi_remove_env_cleanup_hook(env, on_environment_end, handle);
  unreference(handle);
}

static void release_router(void *data) {
  struct router_handle *handle = data;
  handle->mute = true;
  router_handle_stop(handle, true);
  unreference(handle);
}

static void release_peer(void *data) { router_peer_release(data); }

// In a thread of the router.
static void on_event(void *owner, struct router_event *event) {
  struct router_handle *handle = owner;
  if (napi_call_threadsafe_function(handle->report, event, napi_tsfn_nonblocking) != napi_ok) router_event_free(event);
}

static void on_ended(void *owner) {
  struct router_handle *handle = owner;
  napi_release_threadsafe_function(handle->report, napi_tsfn_release);
}

enum { MOST_PARTS = 10 };

// What JavaScript is called with: values one behind the other, of which an object is made there. Here each of its names would be looked up
// anew, for every device that comes.
static size_t describe(napi_env env, const struct router_event *event, napi_value parts[MOST_PARTS]) {
  size_t count = 0;
  parts[count++] = addon_new_text(env, EVENTS[event->kind]);
  if (event->peer != NULL) parts[count++] = addon_new_number(env, (double)event->peer->id);
  switch (event->kind) {
    case ROUTER_ARRIVED:
      parts[count++] = handle_new(env, &PEER, router_peer_keep(event->peer), release_peer);
      parts[count++] = event->certificate == NULL ? addon_undefined(env) : addon_new_bytes(env, event->certificate, event->certificate_length);
      parts[count++] = event->chain_length == 0 ? addon_undefined(env) : addon_new_bytes(env, event->chain, event->chain_length);
      parts[count++] = event->facts == NULL ? addon_undefined(env) : pki_describe(env, event->facts);
      parts[count++] = event->has_key ? addon_new_bytes(env, event->key, sizeof event->key) : addon_undefined(env);
      parts[count++] = addon_new_number(env, event->wire);
      parts[count++] = addon_new_text(env, event->ends);
      parts[count++] = addon_new_text(env, event->tls);
      break;
    case ROUTER_MESSAGE: parts[count++] = addon_new_bytes(env, event->message, event->message_length); break;
    case ROUTER_ASKS:
      parts[count++] = addon_new_number(env, event->thread);
      parts[count++] = addon_new_bytes(env, event->address, sizeof event->address);
      break;
    case ROUTER_REACHED:
      parts[count++] = addon_new_number(env, event->thread);
      parts[count++] = addon_new_number(env, event->number);
      break;
    default: parts[count++] = addon_new_text(env, event->text); break;
  }
  // Without memory for one of them there is none for the call either.
  for (size_t i = 0; i < count; i++)
    if (parts[i] == NULL) return 0;
  return count;
}

// In JavaScript's thread.
static void call_report(napi_env env, napi_value callback, void *context, void *data) {
  struct router_handle *handle = context;
  struct router_event *event = data;
  if (env != NULL && !handle->mute) {
    napi_value parts[MOST_PARTS], receiver;
    struct router_command unroute = {.kind = ROUTER_UNROUTE, .peer = event->peer};
    if (event->kind == ROUTER_ENDED && handle->router != NULL) router_broadcast_route(handle->router, &unroute);
    size_t count = describe(env, event, parts);
    napi_get_undefined(env, &receiver);
    if (count > 0) napi_call_function(env, receiver, callback, count, parts, NULL);
  }
  router_event_free(event);
}

struct router_handle *router_handle_start(napi_env env, napi_value callback, const struct router_settings *settings,
                                          const struct sockaddr_storage *address, const char *certificate, const char *key) {
  napi_value name = addon_new_text(env, "enf.router");
  char reason[DP_REASON] = "";
  const char *doing = "starting the router";
  struct router_handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) {
    addon_errno(env, ENOMEM, doing);
    return NULL;
  }
  handle->references = 1;
  if (napi_create_threadsafe_function(env, callback, NULL, name, 0, settings->threads, handle, on_report_finalized, handle, call_report,
                                      &handle->report) != napi_ok) {
    free(handle);
    addon_errno(env, ENOMEM, doing);
    return NULL;
  }
  int error = router_start(settings, address, certificate, key, (struct router_listener){handle, on_event, on_ended}, &handle->router,
                           &doing, reason);
  if (error == 0) return handle;
  handle->router = NULL;
  handle->mute = true;
  napi_release_threadsafe_function(handle->report, napi_tsfn_abort);
  if (error == EKEYREJECTED) napi_throw_error(env, "EKEYREJECTED", reason);
  else addon_errno(env, error, doing);
  return NULL;
}

napi_value router_handle_new(napi_env env, struct router_handle *handle) {
  napi_add_env_cleanup_hook(env, on_environment_end, handle);
  handle->references++;
  return handle_new(env, &ROUTER, handle, release_router);
}

static struct router_handle *router_handle_of(napi_env env, napi_value value) {
  struct router_handle *handle = handle_data(env, value, &ROUTER);
  if (handle == NULL) addon_bad(env, "not a router");
  return handle;
}

struct router_handle *router_handle_called(napi_env env, napi_callback_info info, napi_value *arguments, size_t count) {
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  return router_handle_of(env, arguments[0]);
}

struct router_peer *router_peer_of(napi_env env, napi_value value) {
  struct router_peer *peer = handle_data(env, value, &PEER);
  if (peer == NULL) addon_bad(env, "not a router's peer");
  return peer;
}
