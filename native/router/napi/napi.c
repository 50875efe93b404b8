// The router's functions for JavaScript (router.ts): admission, events and counters. Packets stay in the threads.
#include "napi.h"
#include "addon/arguments.h"
#include "calls.h"

void register_router(napi_env env, napi_value exports) {
  addon_function(env, exports, "routerStart", router_start_call);
  addon_function(env, exports, "routerPort", router_port_call);
  addon_function(env, exports, "routerPending", router_pending_call);
  addon_function(env, exports, "routerAdmit", router_admit_call);
  addon_function(env, exports, "routerDisconnect", router_disconnect_call);
  addon_function(env, exports, "routerAnswer", router_answer_call);
  addon_function(env, exports, "routerForget", router_forget_call);
  addon_function(env, exports, "routerForgetAll", router_forget_all_call);
  addon_function(env, exports, "routerBarrier", router_barrier_call);
  addon_function(env, exports, "routerNetworks", router_networks_call);
  addon_function(env, exports, "routerRules", router_rules_call);
  addon_function(env, exports, "routerRuleCounts", router_rule_counts_call);
  addon_function(env, exports, "routerRates", router_rates_call);
  addon_function(env, exports, "routerDelegate", router_delegate_call);
  addon_function(env, exports, "routerSend", router_send_call);
  addon_function(env, exports, "routerIdentity", router_identity_call);
  addon_function(env, exports, "routerVouched", router_vouched_call);
  addon_function(env, exports, "routerCounterNames", router_counter_names_call);
  addon_function(env, exports, "routerPeerCounters", router_peer_counters_call);
  addon_function(env, exports, "routerPeerSilence", router_peer_silence_call);
  addon_function(env, exports, "routerCounters", router_counters_call);
  addon_function(env, exports, "routerClose", router_close_call);
}
