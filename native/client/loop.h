// The loop of the tunnel's client: one TUN, at most one connection to a router, everything in one thread. thread.h runs it and lets
// another thread give it commands; a router has a loop of its own over the same parts (transport/link.h).
#pragma once
#include "client.h"

// Every member up to `commands` is set, and so are tun.fd and tun.offload; `wake` is an eventfd. 0 or an errno.
int dp_client_init(struct dp_client *client);
// Closes the connection; the TUN and `wake` stay the caller's.
void dp_client_free(struct dp_client *client);
// Runs until `commands` returns false.
void dp_client_run(struct dp_client *client);
