// Commands of JavaScript to the router's threads.
#include "calls.h"
#include "addon/arguments.h"
#include "handle.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

napi_value router_admit_call(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t length;
  uint8_t *address;
  uint32_t network, group;
  struct router_handle *handle = router_handle_called(env, info, arguments, 5);
  struct router_peer *peer = handle == NULL ? NULL : router_peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &address, &length) || length != sizeof peer->address ||
      !addon_u32(env, arguments[3], &network) || network == 0 || !addon_u32(env, arguments[4], &group) || group == 0)
    return addon_bad(env, "routerAdmit(router, peer, address, network, group): expected 16 bytes and two numbers that are not 0");
  if (handle->router == NULL) return NULL;
  struct router_command route = {.kind = ROUTER_ROUTE, .peer = peer, .network = network, .group = group};
  struct router_command *admit = malloc(sizeof *admit);
  if (admit == NULL) return addon_errno(env, ENOMEM, "admitting a peer");
  memcpy(peer->address, address, sizeof peer->address);
  *admit = (struct router_command){.kind = ROUTER_ADMIT, .peer = router_peer_keep(peer), .network = network, .group = group};
  // In this order: when another thread has the route, the peer's own thread can take the command that admits it.
  router_send_command(handle->router, 0, admit);
  bool sent = router_broadcast_route(handle->router, &route);
  return sent ? NULL : addon_errno(env, ENOMEM, "admitting a peer");
}

napi_value router_disconnect_call(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t length;
  uint8_t *verdict;
  bool reset, excused;
  struct router_handle *handle = router_handle_called(env, info, arguments, 5);
  struct router_peer *peer = handle == NULL ? NULL : router_peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &verdict, &length) || length > ROUTER_VERDICT ||
      napi_get_value_bool(env, arguments[3], &reset) != napi_ok || napi_get_value_bool(env, arguments[4], &excused) != napi_ok)
    return addon_bad(env, "routerDisconnect(router, peer, verdict, reset, excused): expected at most 32 bytes and two booleans");
  if (handle->router == NULL) return NULL;
  struct router_command *part = malloc(sizeof *part);
  if (part == NULL) return addon_errno(env, ENOMEM, "parting with a peer");
  *part = (struct router_command){
      .kind = ROUTER_DISCONNECT, .peer = router_peer_keep(peer), .verdict_length = (uint32_t)length, .reset = reset,
      .excused = excused};
  if (length > 0) memcpy(part->verdict, verdict, length);
  router_send_command(handle->router, 0, part);
  return NULL;
}

napi_value router_answer_call(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  size_t length, device_length;
  uint8_t *address, *device;
  uint32_t thread, answer, group;
  struct router_handle *handle = router_handle_called(env, info, arguments, 6);
  if (handle == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &thread) || thread >= ROUTER_MOST_THREADS ||
      !addon_bytes(env, arguments[2], &address, &length) || length != 16 || !addon_u32(env, arguments[3], &answer) ||
      answer > ROUTER_OWNER_UNKNOWN || !addon_u32(env, arguments[4], &group) ||
      !addon_bytes(env, arguments[5], &device, &device_length) || (device_length != 0 && device_length != 16))
    return addon_bad(env, "routerAnswer(router, thread, address, answer, group, device): expected a thread, 16 bytes, 0, 1 or 2, a number, and 0 or 16 bytes");
  if (handle->router == NULL || thread >= handle->router->threads) return NULL;
  struct router_command *command = calloc(1, sizeof *command);
  if (command == NULL) return addon_errno(env, ENOMEM, "answering a router's thread");
  command->kind = ROUTER_ANSWER;
  command->answer = (enum router_owner)answer;
  command->group = group;
  command->delegated = device_length > 0;
  memcpy(command->address, address, sizeof command->address);
  if (command->delegated) memcpy(command->device, device, sizeof command->device);
  handle->router->thread[thread].answers_given++;
  router_send_command(handle->router, thread, command);
  return NULL;
}

napi_value router_forget_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t length;
  uint8_t *address;
  struct router_handle *handle = router_handle_called(env, info, arguments, 2);
  if (handle == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &address, &length) || length != 16)
    return addon_bad(env, "routerForget(router, address): expected 16 bytes");
  if (handle->router != NULL && !router_forget(handle->router, address)) return addon_errno(env, ENOMEM, "forgetting an address");
  return NULL;
}

napi_value router_forget_all_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct router_handle *handle = router_handle_called(env, info, &argument, 1);
  if (handle == NULL) return NULL;
  if (handle->router != NULL && !router_forget_all(handle->router)) return addon_errno(env, ENOMEM, "forgetting all addresses");
  return NULL;
}

napi_value router_barrier_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct router_command command = {.kind = ROUTER_BARRIER};
  struct router_handle *handle = router_handle_called(env, info, arguments, 2);
  if (handle == NULL) return NULL;
  if (!addon_u32(env, arguments[1], &command.number)) return addon_bad(env, "routerBarrier(router, number): expected a number");
  if (handle->router != NULL && !router_broadcast_command(handle->router, &command))
    return addon_errno(env, ENOMEM, "asking the router's threads");
  return NULL;
}

napi_value router_networks_call(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t length, pools_length;
  uint8_t *prefixes, *pools;
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  if (handle == NULL) return NULL;
  if (!addon_bytes(env, arguments[1], &prefixes, &length) || length % ROUTER_PREFIX != 0 || length / ROUTER_PREFIX > UINT32_MAX ||
      !addon_bytes(env, arguments[2], &pools, &pools_length) || pools_length % ROUTER_POOL != 0 || pools_length / ROUTER_POOL > UINT32_MAX)
    return addon_bad(env, "routerNetworks(router, prefixes, pools): expected eight bytes for each network and 13 for each pool");
  if (handle->router == NULL) return NULL;
  struct router_command command = {.kind = ROUTER_NETWORKS,
                                   .networks = router_networks_new(prefixes, (uint32_t)(length / ROUTER_PREFIX), pools,
                                                                   (uint32_t)(pools_length / ROUTER_POOL))};
  bool sent = command.networks != NULL && router_broadcast_command(handle->router, &command);
  router_networks_release(command.networks);
  return sent ? NULL : addon_errno(env, ENOMEM, "telling the networks");
}

napi_value router_rates_call(napi_env env, napi_callback_info info) {
  static const char *const doing = "telling the rate limits of a network";
  napi_value arguments[3];
  size_t length;
  uint8_t *bytes;
  bool memory = true;
  struct router_command command = {.kind = ROUTER_RATES};
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  if (handle == NULL) return NULL;
  bool given = addon_u32(env, arguments[1], &command.network) && command.network != 0 && addon_bytes(env, arguments[2], &bytes, &length);
  if (given && length > 0) command.rates = router_rates_new(bytes, length, &memory);
  if (!memory) return addon_errno(env, ENOMEM, doing);
  if (!given || (length > 0 && command.rates == NULL))
    return addon_bad(env, "routerRates(router, network, rates): expected a number that is not 0, and rate limits of one network");
  bool sent = handle->router == NULL || router_broadcast_command(handle->router, &command);
  router_rates_release(command.rates);
  return sent ? NULL : addon_errno(env, ENOMEM, doing);
}

napi_value router_delegate_call(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t length;
  uint8_t *prefix;
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  struct router_peer *peer = handle == NULL ? NULL : router_peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &prefix, &length) || (length != 0 && length != ROUTER_PREFIX))
    return addon_bad(env, "routerDelegate(router, peer, prefix): expected no bytes, or eight");
  if (handle->router == NULL) return NULL;
  struct router_command command = {.kind = ROUTER_DELEGATE, .peer = peer, .delegated = length > 0};
  if (length > 0) memcpy(command.address, prefix, length);
  if (!router_broadcast_command(handle->router, &command)) return addon_errno(env, ENOMEM, "delegating a prefix");
  return NULL;
}

napi_value router_send_call(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t length;
  uint8_t *packet;
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  struct router_peer *peer = handle == NULL ? NULL : router_peer_of(env, arguments[1]);
  if (peer == NULL) return NULL;
  if (!addon_bytes(env, arguments[2], &packet, &length) || length == 0 || length > WIRE_MAX_PACKET)
    return addon_bad(env, "routerSend(router, peer, packet): expected a message that fits a frame");
  if (handle->router == NULL) return NULL;
  struct router_command *command = calloc(1, sizeof *command);
  if (command == NULL || (command->message = malloc(length)) == NULL) {
    free(command);
    return addon_errno(env, ENOMEM, "sending a message");
  }
  command->kind = ROUTER_SEND;
  command->peer = router_peer_keep(peer);
  command->message_length = (uint32_t)length;
  memcpy(command->message, packet, length);
  router_send_command(handle->router, 0, command);
  return NULL;
}

napi_value router_identity_call(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t length, key_length = 0;
  char reason[DP_REASON] = "";
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  if (handle == NULL) return NULL;
  char *certificate = addon_copy_text(env, arguments[1], &length), *key = addon_copy_text(env, arguments[2], &key_length);
  bool texts = certificate != NULL && key != NULL;
  struct router_command command = {.kind = ROUTER_IDENTITY, .tls = texts ? router_tls_open(certificate, key, reason) : NULL};
  if (key != NULL) OPENSSL_cleanse(key, key_length);
  free(certificate);
  free(key);
  if (!texts) return addon_bad(env, "routerIdentity(router, certificate, key): expected two PEM texts");
  if (command.tls == NULL) {
    napi_throw_error(env, "EKEYREJECTED", reason);
    return NULL;
  }
  bool sent = handle->router == NULL || router_broadcast_command(handle->router, &command);
  SSL_CTX_free(command.tls);
  return sent ? NULL : addon_errno(env, ENOMEM, "replacing the certificate");
}

napi_value router_vouched_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  bool vouched;
  struct router_handle *handle = router_handle_called(env, info, arguments, 2);
  if (handle == NULL) return NULL;
  if (napi_get_value_bool(env, arguments[1], &vouched) != napi_ok) return addon_bad(env, "routerVouched(router, vouched): expected a boolean");
  if (handle->router != NULL) atomic_store(&handle->router->vouched, vouched);
  return NULL;
}

napi_value router_close_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct router_handle *handle = router_handle_called(env, info, &argument, 1);
  if (handle != NULL) router_handle_stop(handle, false);
  return NULL;
}
