// The router and its peers as JavaScript holds them: shared by the files of this folder.
#pragma once
#include "router/router.h"
#include <node_api.h>

// Freed when JavaScript has released its handle and all threads have ended.
struct router_handle {
  int references;
  struct router *router;  // NULL once joined
  bool stopped, mute;
  napi_threadsafe_function report;
};

// Starts the threads over a function that they report to. NULL with an exception if that fails.
struct router_handle *router_handle_start(napi_env env, napi_value callback, const struct router_settings *settings,
                                          const struct sockaddr_storage *address, const char *certificate, const char *key);
// JavaScript's object for a router that was started.
napi_value router_handle_new(napi_env env, struct router_handle *handle);
// Shuts the threads down: in order, or at once if `hard`.
void router_handle_stop(struct router_handle *handle, bool hard);
// Reads the `count` arguments of a function whose first one is a router; NULL with an exception if it is none.
struct router_handle *router_handle_called(napi_env env, napi_callback_info info, napi_value *arguments, size_t count);
// The peer behind a JavaScript object; NULL with an exception if it is none.
struct router_peer *router_peer_of(napi_env env, napi_value value);
