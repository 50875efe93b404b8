// Which device has a /64 behind it: what comes from there comes from the device, and what is for there goes to it.
#include "router.h"
#include <stdlib.h>
#include <string.h>

static struct router_route *find(const struct router_thread *thread, const uint8_t *address) {
  uint8_t prefix[16] = {0};
  memcpy(prefix, address, ROUTER_PREFIX);
  return (struct router_route *)(void *)router_addresstable_find(&thread->delegations, prefix);
}

struct router_route *router_delegated_route_to(const struct router_thread *thread, const uint8_t *address) { return find(thread, address); }

// The connection of the peer, if it is this thread's, takes packets from there.
static void set_source(struct router_thread *thread, const struct router_peer *peer, const uint8_t *prefix) {
  struct router_connection *connection = router_peer_connection(peer, thread);
  if (connection == NULL) return;
  connection->own.has_prefix = prefix != NULL;
  if (prefix != NULL) memcpy(connection->own.prefix, prefix, sizeof connection->own.prefix);
}

void router_end_delegation(struct router_thread *thread, struct router_route *route) {
  struct router_route *delegated = route->delegated;
  if (delegated == NULL) return;
  set_source(thread, route->peer, NULL);
  router_addresstable_remove(&thread->delegations, &delegated->entry);
  router_peer_release(delegated->peer);
  free(delegated);
  route->delegated = NULL;
}

static struct router_route *add(struct router_thread *thread, const struct router_route *route, const uint8_t *address) {
  // Nobody has what another one still has.
  struct router_route *delegated = find(thread, address) == NULL ? calloc(1, sizeof *delegated) : NULL;
  if (delegated == NULL) return NULL;
  memcpy(delegated->entry.address, address, ROUTER_PREFIX);
  delegated->peer = router_peer_keep(route->peer);
  delegated->network = route->network;
  delegated->group = route->group;
  router_addresstable_add(&thread->delegations, &delegated->entry);
  set_source(thread, route->peer, address);
  return delegated;
}

void router_delegate(struct router_thread *thread, const struct router_command *command) {
  struct router_route *route = (struct router_route *)(void *)router_addresstable_find(&thread->routes, command->peer->address);
  if (route == NULL || route->peer != command->peer) return;
  router_end_delegation(thread, route);
  if (command->delegated) route->delegated = add(thread, route, command->address);
}
