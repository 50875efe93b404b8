// The router's functions for JavaScript (router.ts): admission, events and counters. Packets stay in the threads.
#include "napi.h"
#include "addon/handle.h"
#include "packet/clock.h"
#include "router.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Freed when JavaScript has released its handle and all threads have ended.
struct core {
  int references;
  struct router *router;  // NULL once joined
  bool stopped, mute;
  napi_threadsafe_function report;
};

static const napi_type_tag CORE = {0x1f0b5e7dd1c948a3, 0xb16c2a90f3e74d58};
static const napi_type_tag PEER = {0x84e1d7723b5f4c06, 0x9a35c0f81d6be247};

static const char *const EVENTS[] = {
#define NAME(kind, name) [ROUTER_##kind] = name,
    ROUTER_EVENTS(NAME)
#undef NAME
};

static void unreference(struct core *core) {
  if (--core->references == 0) free(core);
}

static void stop(struct core *core, bool hard) {
  struct router_command command = {.kind = ROUTER_SHUT_DOWN, .hard = hard};
  if (core->router == NULL || (core->stopped && !hard)) return;
  core->stopped = true;
  router_broadcast_command(core->router, &command);
}

static void join(struct core *core) {
  struct router *router = core->router;
  core->router = NULL;
  if (router != NULL) router_join(router);
}

// The environment ends: JavaScript may not be called any more.
static void on_environment_end(void *data) {
  struct core *core = data;
  core->mute = true;
  stop(core, true);
  join(core);
}

// All threads have released the function.
static void on_report_finalized(napi_env env, void *data, void *hint) {
  struct core *core = data;
  (void)hint;
  join(core);
  napi_remove_env_cleanup_hook(env, on_environment_end, core);
  unreference(core);
}

static void release_core(void *data) {
  struct core *core = data;
  core->mute = true;
  stop(core, true);
  unreference(core);
}

static void release_peer(void *data) { router_peer_release(data); }

// In a thread of the router.
static void on_event(void *owner, struct router_event *event) {
  struct core *core = owner;
  if (napi_call_threadsafe_function(core->report, event, napi_tsfn_nonblocking) != napi_ok) router_event_free(event);
}

static void on_ended(void *owner) {
  struct core *core = owner;
  napi_release_threadsafe_function(core->report, napi_tsfn_release);
}

static void set(napi_env env, napi_value object, const char *name, napi_value value) {
  if (value != NULL) napi_set_named_property(env, object, name, value);
}

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

static napi_value text(napi_env env, const char *value) {
  napi_value result = NULL;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

static napi_value describe(napi_env env, const struct router_event *event) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  set(env, object, "kind", text(env, EVENTS[event->kind]));
  if (event->peer != NULL) set(env, object, "id", number(env, (double)event->peer->id));
  switch (event->kind) {
    case ROUTER_ARRIVED:
      set(env, object, "peer", handle_new(env, &PEER, router_peer_keep(event->peer), release_peer));
      if (event->certificate != NULL)
        set(env, object, "certificate", addon_new_bytes(env, event->certificate, event->certificate_length));
      if (event->has_key) set(env, object, "key", addon_new_bytes(env, event->key, sizeof event->key));
      set(env, object, "wire", number(env, event->wire));
      set(env, object, "ends", text(env, event->ends));
      set(env, object, "tls", text(env, event->tls));
      break;
    case ROUTER_REPORTED: set(env, object, "report", addon_new_bytes(env, event->report, event->report_length)); break;
    case ROUTER_ASKS:
      set(env, object, "thread", number(env, event->thread));
      set(env, object, "address", addon_new_bytes(env, event->address, sizeof event->address));
      break;
    case ROUTER_REACHED:
      set(env, object, "thread", number(env, event->thread));
      set(env, object, "number", number(env, event->number));
      break;
    default: set(env, object, "text", text(env, event->text)); break;
  }
  return object;
}

// In JavaScript's thread.
static void call_report(napi_env env, napi_value callback, void *context, void *data) {
  struct core *core = context;
  struct router_event *event = data;
  if (env != NULL && !core->mute) {
    napi_value argument, receiver;
    struct router_command unroute = {.kind = ROUTER_UNROUTE, .peer = event->peer};
    if (event->kind == ROUTER_ENDED && core->router != NULL) router_broadcast_command(core->router, &unroute);
    argument = describe(env, event);
    napi_get_undefined(env, &receiver);
    if (argument != NULL) napi_call_function(env, receiver, callback, 1, &argument, NULL);
  }
  router_event_free(event);
}

static bool setting(napi_env env, napi_value object, const char *name, uint32_t least, uint32_t *out) {
  napi_value value;
  return napi_get_named_property(env, object, name, &value) == napi_ok && addon_u32(env, value, out) && *out >= least;
}

static bool read_settings(napi_env env, napi_value object, struct router_settings *settings) {
  napi_valuetype type;
  napi_value tun;
  uint32_t fd, offload = 0;
  if (napi_typeof(env, object, &type) != napi_ok || type != napi_object) return false;
  settings->tun = -1;
  if (napi_get_named_property(env, object, "tun", &tun) != napi_ok || napi_typeof(env, tun, &type) != napi_ok) return false;
  if (type != napi_undefined) {
    if (!addon_u32(env, tun, &fd) || fd > INT32_MAX || !setting(env, object, "offload", 0, &offload) || offload > DP_OFFLOAD_UDP)
      return false;
    settings->tun = (int)fd;
    settings->offload = (enum dp_offload)offload;
  }
  return setting(env, object, "threads", 1, &settings->threads) && settings->threads <= ROUTER_MOST_THREADS &&
         setting(env, object, "pending", 1, &settings->ratelimit.pending) &&
         setting(env, object, "pendingPerSource", 1, &settings->ratelimit.pending_per_source) &&
         setting(env, object, "refusalBurst", 1, &settings->ratelimit.refusal_burst) &&
         setting(env, object, "refusalsPerSecond", 0, &settings->ratelimit.refusals_per_second) &&
         setting(env, object, "sources", 1, &settings->ratelimit.sources) &&
         setting(env, object, "handshakeMs", 1, &settings->handshake_ms) &&
         setting(env, object, "lingerMs", 0, &settings->linger_ms) && setting(env, object, "stallMs", 8, &settings->stall_ms) &&
         setting(env, object, "queueBytes", 1, &settings->queue_bytes);
}

static bool read_address(napi_env env, napi_value host, napi_value port, struct sockaddr_storage *address) {
  char name[INET6_ADDRSTRLEN];
  uint32_t value;
  struct sockaddr_in *v4 = (void *)address;
  struct sockaddr_in6 *v6 = (void *)address;
  memset(address, 0, sizeof *address);
  if (!addon_text(env, host, name, sizeof name) || !addon_u32(env, port, &value) || value > UINT16_MAX) return false;
  if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)value);
    return true;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons((uint16_t)value);
  return inet_pton(AF_INET6, name, &v6->sin6_addr) == 1;
}

// Starts the threads over a function that they report to. NULL with an exception if that fails.
static struct core *start(napi_env env, napi_value callback, const struct router_settings *settings,
                          const struct sockaddr_storage *address, const char *certificate, const char *key) {
  napi_value name = text(env, "enf.router");
  char reason[DP_REASON] = "";
  const char *doing = "starting the router";
  struct core *core = calloc(1, sizeof *core);
  if (core == NULL) {
    addon_errno(env, ENOMEM, doing);
    return NULL;
  }
  core->references = 1;
  if (napi_create_threadsafe_function(env, callback, NULL, name, 0, settings->threads, core, on_report_finalized, core, call_report,
                                      &core->report) != napi_ok) {
    free(core);
    addon_errno(env, ENOMEM, doing);
    return NULL;
  }
  int error = router_start(settings, address, certificate, key, (struct router_listener){core, on_event, on_ended}, &core->router,
                           &doing, reason);
  if (error == 0) return core;
  core->router = NULL;
  core->mute = true;
  napi_release_threadsafe_function(core->report, napi_tsfn_abort);
  if (error == EKEYREJECTED) napi_throw_error(env, "EKEYREJECTED", reason);
  else addon_errno(env, error, doing);
  return NULL;
}

static napi_value router_start_call(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  size_t count = 6, length;
  struct router_settings settings = {0};
  struct sockaddr_storage address;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  bool ok = read_settings(env, arguments[0], &settings) && read_address(env, arguments[1], arguments[2], &address) &&
            napi_typeof(env, arguments[5], &type) == napi_ok && type == napi_function;
  char *certificate = ok ? addon_copy_text(env, arguments[3], &length) : NULL;
  char *key = ok ? addon_copy_text(env, arguments[4], &length) : NULL;
  struct core *core = NULL;
  if (certificate == NULL || key == NULL)
    addon_bad(env, "routerStart(settings, host, port, certificate, key, onEvent): expected settings within their bounds, an IP "
                   "address, a port, two PEM texts and a function");
  else core = start(env, arguments[5], &settings, &address, certificate, key);
  if (key != NULL) OPENSSL_cleanse(key, length);
  free(certificate);
  free(key);
  if (core == NULL) return NULL;
  napi_add_env_cleanup_hook(env, on_environment_end, core);
  core->references++;
  return handle_new(env, &CORE, core, release_core);
}

static struct core *core_of(napi_env env, napi_value value) {
  struct core *core = handle_data(env, value, &CORE);
  if (core == NULL) addon_bad(env, "not a router");
  return core;
}

static struct router_peer *peer_of(napi_env env, napi_value value) {
  struct router_peer *peer = handle_data(env, value, &PEER);
  if (peer == NULL) addon_bad(env, "not a router's peer");
  return peer;
}

static napi_value router_port_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct core *core = core_of(env, argument);
  return core == NULL || core->router == NULL ? NULL : number(env, core->router->port);
}

static napi_value router_pending_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct core *core = core_of(env, argument);
  if (core == NULL) return NULL;
  return number(env, core->router == NULL ? 0 : atomic_load(&core->router->ratelimit.pending));
}

static napi_value router_admit_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4, length;
  uint8_t *address;
  uint32_t network;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  struct router_peer *peer = core == NULL ? NULL : peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &address, &length) || length != sizeof peer->address ||
      !addon_u32(env, arguments[3], &network) || network == 0)
    return addon_bad(env, "routerAdmit(router, peer, address, network): expected 16 bytes and a number that is not 0");
  if (core->router == NULL) return NULL;
  struct router_command route = {.kind = ROUTER_ROUTE, .peer = peer, .network = network};
  struct router_command *admit = malloc(sizeof *admit);
  if (admit == NULL) return addon_errno(env, ENOMEM, "admitting a peer");
  memcpy(peer->address, address, sizeof peer->address);
  *admit = (struct router_command){.kind = ROUTER_ADMIT, .peer = router_peer_keep(peer), .network = network};
  // In this order: when another thread has the route, the peer's own thread can take the command that admits it.
  router_send_command(core->router, 0, admit);
  bool sent = router_broadcast_command(core->router, &route);
  return sent ? NULL : addon_errno(env, ENOMEM, "admitting a peer");
}

static napi_value router_disconnect_call(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5, length;
  uint8_t *verdict;
  bool reset, excused;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  struct router_peer *peer = core == NULL ? NULL : peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &verdict, &length) || length > ROUTER_VERDICT ||
      napi_get_value_bool(env, arguments[3], &reset) != napi_ok || napi_get_value_bool(env, arguments[4], &excused) != napi_ok)
    return addon_bad(env, "routerDisconnect(router, peer, verdict, reset, excused): expected at most 32 bytes and two booleans");
  if (core->router == NULL) return NULL;
  struct router_command *part = malloc(sizeof *part);
  if (part == NULL) return addon_errno(env, ENOMEM, "parting with a peer");
  *part = (struct router_command){
      .kind = ROUTER_DISCONNECT, .peer = router_peer_keep(peer), .verdict_length = (uint32_t)length, .reset = reset,
      .excused = excused};
  if (length > 0) memcpy(part->verdict, verdict, length);
  router_send_command(core->router, 0, part);
  return NULL;
}

// routerAnswer(router, thread, address, answer) and routerForget(router, address).
static napi_value router_answer_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4, length;
  uint8_t *address;
  uint32_t thread, answer;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  if (core == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &thread) || thread >= ROUTER_MOST_THREADS ||
      !addon_bytes(env, arguments[2], &address, &length) || length != 16 || !addon_u32(env, arguments[3], &answer) ||
      answer > ROUTER_OWNER_UNKNOWN)
    return addon_bad(env, "routerAnswer(router, thread, address, answer): expected a thread, 16 bytes, and 0, 1 or 2");
  if (core->router == NULL || thread >= core->router->threads) return NULL;
  struct router_command *command = calloc(1, sizeof *command);
  if (command == NULL) return addon_errno(env, ENOMEM, "answering a router's thread");
  command->kind = ROUTER_ANSWER;
  command->answer = (enum router_owner)answer;
  memcpy(command->address, address, sizeof command->address);
  router_send_command(core->router, thread, command);
  return NULL;
}

static napi_value router_forget_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, length;
  uint8_t *address;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  if (core == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &address, &length) || length != 16)
    return addon_bad(env, "routerForget(router, address): expected 16 bytes");
  struct router_command command = {.kind = ROUTER_FORGET};
  memcpy(command.address, address, sizeof command.address);
  if (core->router != NULL && !router_broadcast_command(core->router, &command)) return addon_errno(env, ENOMEM, "forgetting an address");
  return NULL;
}

static napi_value router_barrier_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  struct router_command command = {.kind = ROUTER_BARRIER};
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  if (core == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &command.number)) return addon_bad(env, "routerBarrier(router, number): expected a number");
  if (core->router != NULL && !router_broadcast_command(core->router, &command)) return addon_errno(env, ENOMEM, "asking the router's threads");
  return NULL;
}

static napi_value router_networks_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, length;
  uint8_t *prefixes;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct core *core = core_of(env, arguments[0]);
  if (core == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &prefixes, &length) || length % ROUTER_PREFIX != 0 || length / ROUTER_PREFIX > UINT32_MAX)
    return addon_bad(env, "routerNetworks(router, prefixes): expected eight bytes for each network");
  if (core->router == NULL) return NULL;
  struct router_command command = {
      .kind = ROUTER_NETWORKS, .networks = router_networks_new(prefixes, (uint32_t)(length / ROUTER_PREFIX))};
  bool sent = command.networks != NULL && router_broadcast_command(core->router, &command);
  router_networks_release(command.networks);
  return sent ? NULL : addon_errno(env, ENOMEM, "telling the networks");
}

static napi_value counters_object(napi_env env, const struct dp_counters *counters, const struct router_drops *drops) {
  napi_value object, causes;
  if (napi_create_object(env, &object) != napi_ok || napi_create_object(env, &causes) != napi_ok) return NULL;
#define SET(field, name) set(env, object, name, number(env, (double)dp_value(&counters->field)));
  DP_COUNTERS(SET)
#undef SET
#define SET(field, name) set(env, causes, name, number(env, (double)dp_value(&drops->field)));
  ROUTER_DROPS(SET)
#undef SET
  set(env, object, "drops", causes);
  return object;
}

static napi_value router_peer_counters_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_peer *peer = peer_of(env, argument);
  return peer == NULL ? NULL : counters_object(env, &peer->counters, &peer->drops);
}

static napi_value router_peer_silence_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_peer *peer = peer_of(env, argument);
  if (peer == NULL) return NULL;
  uint64_t now = dp_now(), heard = dp_value(&peer->counters.heard);
  return number(env, now > heard ? (double)((now - heard) / DP_MILLISECOND) : 0);
}

static napi_value router_counters_call(napi_env env, napi_callback_info info) {
  napi_value argument, array;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct core *core = core_of(env, argument);
  if (core == NULL || napi_create_array(env, &array) != napi_ok) return NULL;
  for (uint32_t i = 0; core->router != NULL && i < core->router->threads; i++) {
    const struct router_thread *thread = &core->router->thread[i];
    napi_set_element(env, array, i, counters_object(env, &thread->counters, &thread->drops));
  }
  return array;
}

static napi_value router_close_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct core *core = core_of(env, argument);
  if (core != NULL) stop(core, false);
  return NULL;
}

void register_router(napi_env env, napi_value exports) {
  addon_function(env, exports, "routerStart", router_start_call);
  addon_function(env, exports, "routerPort", router_port_call);
  addon_function(env, exports, "routerPending", router_pending_call);
  addon_function(env, exports, "routerAdmit", router_admit_call);
  addon_function(env, exports, "routerDisconnect", router_disconnect_call);
  addon_function(env, exports, "routerAnswer", router_answer_call);
  addon_function(env, exports, "routerForget", router_forget_call);
  addon_function(env, exports, "routerBarrier", router_barrier_call);
  addon_function(env, exports, "routerNetworks", router_networks_call);
  addon_function(env, exports, "routerPeerCounters", router_peer_counters_call);
  addon_function(env, exports, "routerPeerSilence", router_peer_silence_call);
  addon_function(env, exports, "routerCounters", router_counters_call);
  addon_function(env, exports, "routerClose", router_close_call);
}
