// The client's connection, from the order to make it to its end.
#pragma once
#include "client.h"

// Takes the order and its socket; wipes the key.
void dp_connect_options_free(struct dp_connect_options *options);
// Ends whatever connection there is without a report, and begins this one.
void dp_client_connect(struct dp_client *client, struct dp_connect_options *options);
// The same with a connection whose handshake is set up otherwise, a server's for instance.
void dp_client_adopt(struct dp_client *client, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms);
// Ends the connection in order, without a report.
void dp_client_disconnect(struct dp_client *client);
// A heartbeat at once, with less patience than usual.
void dp_client_probe(struct dp_client *client);

// For the loop.
void dp_connection_handshake(struct dp_client *client, uint64_t now);
void dp_connection_receive(struct dp_client *client, uint64_t now);
void dp_connection_check_time(struct dp_client *client, uint64_t now);
uint64_t dp_connection_deadline(const struct dp_client *client);
// Closes it; in order only if the peer may still hear that.
void dp_connection_close(struct dp_client *client, bool orderly);
// Closes it and reports why.
void dp_connection_end(struct dp_client *client, enum dp_event_kind kind, uint32_t number, const char *text);
// What dp_link_receive or dp_link_flush returned may be the end. True if it is.
bool dp_connection_is_over(struct dp_client *client, enum dp_status status);
