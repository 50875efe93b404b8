// The client's connection, from the order to make it to its end.
#pragma once
#include "client.h"

// Takes the order and its socket; wipes the key.
void dp_order_free(struct dp_order *order);
// Ends whatever connection there is without a report, and begins this one.
void dp_agent_connect(struct dp_agent *agent, struct dp_order *order);
// The same with a connection whose handshake is set up otherwise, a server's for instance.
void dp_agent_adopt(struct dp_agent *agent, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms);
// Ends the connection in order, without a report.
void dp_agent_disconnect(struct dp_agent *agent);
// A heartbeat at once, with less patience than usual.
void dp_agent_probe(struct dp_agent *agent);

// For the loop.
void dp_connection_handshake(struct dp_agent *agent, uint64_t now);
void dp_connection_receive(struct dp_agent *agent, uint64_t now);
void dp_connection_check_time(struct dp_agent *agent, uint64_t now);
uint64_t dp_connection_deadline(const struct dp_agent *agent);
// Closes it; in order only if the peer may still hear that.
void dp_connection_close(struct dp_agent *agent, bool orderly);
// Closes it and reports why.
void dp_connection_end(struct dp_agent *agent, enum dp_event_kind kind, uint32_t number, const char *text);
// What dp_link_receive or dp_link_flush returned may be the end. True if it is.
bool dp_connection_is_over(struct dp_agent *agent, enum dp_status status);
