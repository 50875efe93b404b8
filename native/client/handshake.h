// A TLS handshake of the client, of its connection or of one that is to take its place.
#pragma once
#include "client.h"

enum dp_handshake { DP_HANDSHAKE_DONE, DP_HANDSHAKE_UNDER_WAY, DP_HANDSHAKE_FAILED };

// Goes on with it, for as much as one turn may read. `*again`: there is more to read at once; `*wants_write`: it waits until the socket takes data.
// `*result` is what OpenSSL has returned.
enum dp_handshake dp_handshake_step(SSL *ssl, bool *again, bool *wants_write, int *result);
// Why it has failed: kind, number and text of the event.
struct dp_event dp_handshake_failure(const struct dp_client *client, SSL *ssl, int result);
