// routerStart: reads the settings and the address to listen on.
#include "calls.h"
#include "addon/arguments.h"
#include "handle.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool setting(napi_env env, napi_value object, const char *name, uint32_t least, uint32_t *out) {
  napi_value value;
  return napi_get_named_property(env, object, name, &value) == napi_ok && addon_u32(env, value, out) && *out >= least;
}

static bool read_settings(napi_env env, napi_value object, struct router_settings *settings) {
  napi_valuetype type;
  napi_value value;
  uint32_t fd, offload = 0;
  if (napi_typeof(env, object, &type) != napi_ok || type != napi_object) return false;
  if (napi_get_named_property(env, object, "several", &value) != napi_ok || napi_get_value_bool(env, value, &settings->several) != napi_ok) return false;
  settings->tun = -1;
  if (napi_get_named_property(env, object, "tun", &value) != napi_ok || napi_typeof(env, value, &type) != napi_ok) return false;
  if (type != napi_undefined) {
    if (!addon_u32(env, value, &fd) || fd > INT32_MAX || !setting(env, object, "offload", 0, &offload) || offload > DP_OFFLOAD_UDP)
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

napi_value router_start_call(napi_env env, napi_callback_info info) {
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
  struct router_handle *handle = NULL;
  if (certificate == NULL || key == NULL)
    addon_bad(env, "routerStart(settings, host, port, certificate, key, onEvent): expected settings within their bounds, an IP "
                   "address, a port, two PEM texts and a function");
  else handle = router_handle_start(env, arguments[5], &settings, &address, certificate, key);
  if (key != NULL) OPENSSL_cleanse(key, length);
  free(certificate);
  free(key);
  return handle == NULL ? NULL : router_handle_new(env, handle);
}
