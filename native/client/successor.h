// A connection that is made beside the present one and takes its place once its handshake is done: packets flow until then.
#pragma once
#include "client.h"

// Begins its handshake. Takes the SSL and the socket.
void dp_successor_begin(struct dp_client *client, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms);
// Gives it up, if there is one, without reporting it.
void dp_successor_close(struct dp_client *client);

// For the loop.
// True once its handshake is done: it is the caller's then, in `*done`.
bool dp_successor_handshake(struct dp_client *client, struct dp_successor *done);
void dp_successor_check_time(struct dp_client *client, uint64_t now);
uint64_t dp_successor_deadline(const struct dp_client *client);
// Asks epoll only for the events that it waits for.
void dp_successor_choose_events(struct dp_client *client);
