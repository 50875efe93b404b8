// The client's connection: making it, serving it, ending it.
#pragma once
#include "client.h"

// Frees the options, closes their socket and wipes the key.
void dp_connect_options_free(struct dp_connect_options *options);
// Ends the present connection, if any, without reporting it, and begins this one; or begins it beside an established one. Takes the options.
void dp_client_connect(struct dp_client *client, struct dp_connect_options *options);
// The same with an SSL that the caller has set up, for instance as a server.
void dp_client_adopt(struct dp_client *client, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms);
// Ends the connection, and a successor of it, with close_notify, without reporting it.
void dp_client_disconnect(struct dp_client *client);
// Sends a heartbeat at once and waits for the answer for a shorter time than usual.
void dp_client_probe(struct dp_client *client);

// For the loop.
void dp_connection_handshake(struct dp_client *client, uint64_t now);
void dp_connection_receive(struct dp_client *client, uint64_t now);
void dp_connection_check_time(struct dp_client *client, uint64_t now);
uint64_t dp_connection_deadline(const struct dp_client *client);
// Closes it; `orderly`: with what waits and close_notify first.
void dp_connection_close(struct dp_client *client, bool orderly);
// Closes it and reports why.
void dp_connection_end(struct dp_client *client, enum dp_event_kind kind, uint32_t number, const char *text);
// Ends the connection, if there is one, as dp_client_disconnect; the successor, whose handshake is done, takes its place.
void dp_connection_replace(struct dp_client *client, const struct dp_successor *successor, uint64_t now);
// Ends the connection if that is what a status of dp_link_receive or dp_link_flush means. True if it is over.
bool dp_connection_is_over(struct dp_client *client, enum dp_status status);
