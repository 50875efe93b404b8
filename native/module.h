// The parts of the addon's network face; net.c registers them all.
#pragma once
#include "addon/arguments.h"

void register_socket(napi_env env, napi_value exports);
void register_notify(napi_env env, napi_value exports);
void register_dataplane(napi_env env, napi_value exports);
void register_netlink(napi_env env, napi_value exports);
void register_router(napi_env env, napi_value exports);
void register_listener(napi_env env, napi_value exports);
void register_acceptor(napi_env env, napi_value exports);
