#include "peer.h"
#include <stdlib.h>

static _Atomic uint64_t last_id;

struct router_peer *router_peer_new(struct router_thread *thread, struct router_connection *connection) {
  struct router_peer *peer = calloc(1, sizeof *peer);
  if (peer == NULL) return NULL;
  atomic_init(&peer->references, 1);
  peer->id = atomic_fetch_add(&last_id, 1) + 1;
  peer->thread = thread;
  peer->connection = connection;
  return peer;
}

struct router_peer *router_peer_keep(struct router_peer *peer) {
  atomic_fetch_add(&peer->references, 1);
  return peer;
}

void router_peer_release(struct router_peer *peer) {
  if (peer != NULL && atomic_fetch_sub(&peer->references, 1) == 1) free(peer);
}
