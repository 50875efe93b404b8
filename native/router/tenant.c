// What the devices of one network have of a thread.
#include "router.h"
#include <stdlib.h>
#include <string.h>

// Networks are numbered from 1 on, so an array has them all.
static bool make_room(struct router_thread *thread, uint32_t network) {
  size_t room = thread->tenants_room;
  if (network < room) return true;
  size_t wanted = (size_t)network + network / 2 + 1;
  struct router_tenant **tenants = realloc(thread->tenants, wanted * sizeof *tenants);
  if (tenants == NULL) return false;
  memset(tenants + room, 0, (wanted - room) * sizeof *tenants);
  thread->tenants = tenants;
  thread->tenants_room = wanted;
  return true;
}

struct router_tenant *router_tenant(struct router_thread *thread, uint32_t network) {
  if (!make_room(thread, network)) return NULL;
  struct router_tenant *tenant = thread->tenants[network];
  if (tenant != NULL) return tenant;
  tenant = thread->tenants[network] = calloc(1, sizeof *tenant);
  if (tenant == NULL) return NULL;
  dp_pool_group(&thread->workspace.pool, &tenant->queues);
  router_askers_init(&thread->lookups, &tenant->askers);
  router_flows_group(&thread->flows, &tenant->flows);
  return tenant;
}

void router_tenants_free(struct router_thread *thread) {
  for (size_t i = 0; i < thread->tenants_room; i++) {
    struct router_tenant *tenant = thread->tenants[i];
    if (tenant == NULL) continue;
    router_rules_release(tenant->rules);
    router_rates_release(tenant->rates);
    free(tenant);
  }
  free(thread->tenants);
}
