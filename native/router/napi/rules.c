// The rules of networks: given to all threads, and what these have counted of them.
#include "calls.h"
#include "addon/arguments.h"
#include "addon/handle.h"
#include "handle.h"
#include "packet/counters.h"
#include <errno.h>
#include <stdlib.h>

static const napi_type_tag RULES = {0x5c0d9a417be24f83, 0x8d1f60a2c97b3e15};

static void release_rules(void *data) { router_rules_release(data); }

napi_value router_rules_call(napi_env env, napi_callback_info info) {
  static const char *const doing = "telling the rules of a network";
  napi_value arguments[3];
  size_t length;
  uint8_t *bytes;
  bool memory = true;
  struct router_command command = {.kind = ROUTER_RULES};
  struct router_handle *handle = router_handle_called(env, info, arguments, 3);
  if (handle == NULL) return NULL;
  bool given = addon_u32(env, arguments[1], &command.network) && command.network != 0 && addon_bytes(env, arguments[2], &bytes, &length);
  if (given && length > 0)
    command.rules = router_rules_new(bytes, length, handle->router == NULL ? 1 : handle->router->threads, &memory);
  if (!memory) return addon_errno(env, ENOMEM, doing);
  if (!given || (length > 0 && command.rules == NULL))
    return addon_bad(env, "routerRules(router, network, rules): expected a number that is not 0, and rules of one network");
  bool sent = handle->router == NULL || router_broadcast_command(handle->router, &command);
  if (sent && command.rules != NULL) return handle_new(env, &RULES, command.rules, release_rules);
  router_rules_release(command.rules);
  return sent ? addon_undefined(env) : addon_errno(env, ENOMEM, doing);
}

napi_value router_rule_counts_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct router_rules *rules = handle_data(env, argument, &RULES);
  if (rules == NULL) return addon_bad(env, "routerRuleCounts(rules): expected what routerRules has returned");
  uint32_t size = router_rules_size(rules), threads = router_rules_threads(rules);
  uint64_t *sums = calloc((size_t)size * 2, sizeof *sums);
  if (sums == NULL) return addon_errno(env, ENOMEM, "counting what rules have decided");
  for (uint32_t thread = 0; thread < threads; thread++) {
    for (uint32_t rule = 0; rule < size; rule++) {
      const struct router_rule_count *counted = router_rules_count(rules, thread, rule);
      sums[2 * rule] += dp_value(&counted->packets);
      sums[2 * rule + 1] += dp_value(&counted->bytes);
    }
  }
  napi_value bytes = addon_new_bytes(env, (const uint8_t *)sums, (size_t)size * 2 * sizeof *sums);
  free(sums);
  return bytes;
}
