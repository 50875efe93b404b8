// Adds the functions of sockets, ICMPv6, netlink, routes and sd_notify to the addon's exports.
#pragma once
#include <node_api.h>

void register_socket(napi_env env, napi_value exports);
void register_listener(napi_env env, napi_value exports);
void register_icmp6(napi_env env, napi_value exports);
void register_netlink(napi_env env, napi_value exports);
void register_routes(napi_env env, napi_value exports);
void register_notify(napi_env env, napi_value exports);
