// The functions that napi.c exports under the names of router.ts, which says what each takes and gives.
#pragma once
#include <node_api.h>

napi_value router_start_call(napi_env env, napi_callback_info info);
napi_value router_port_call(napi_env env, napi_callback_info info);
napi_value router_pending_call(napi_env env, napi_callback_info info);
napi_value router_admit_call(napi_env env, napi_callback_info info);
napi_value router_disconnect_call(napi_env env, napi_callback_info info);
napi_value router_answer_call(napi_env env, napi_callback_info info);
napi_value router_forget_call(napi_env env, napi_callback_info info);
napi_value router_forget_all_call(napi_env env, napi_callback_info info);
napi_value router_barrier_call(napi_env env, napi_callback_info info);
napi_value router_networks_call(napi_env env, napi_callback_info info);
napi_value router_counter_names_call(napi_env env, napi_callback_info info);
napi_value router_peer_counters_call(napi_env env, napi_callback_info info);
napi_value router_peer_silence_call(napi_env env, napi_callback_info info);
napi_value router_counters_call(napi_env env, napi_callback_info info);
napi_value router_rules_call(napi_env env, napi_callback_info info);
napi_value router_rule_counts_call(napi_env env, napi_callback_info info);
napi_value router_rates_call(napi_env env, napi_callback_info info);
napi_value router_delegate_call(napi_env env, napi_callback_info info);
napi_value router_send_call(napi_env env, napi_callback_info info);
napi_value router_identity_call(napi_env env, napi_callback_info info);
napi_value router_vouched_call(napi_env env, napi_callback_info info);
napi_value router_close_call(napi_env env, napi_callback_info info);
