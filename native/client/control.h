// Control messages (docs/wire.md): what the client does with those that it understands, and sends.
#pragma once
#include "client.h"

// Handles the packet of a control frame. It is ignored if its type is unknown or ALPN has not selected control messages. False if it
// ends the connection.
bool dp_control_take(struct dp_client *client, const struct dp_frame *frame);
// Sends a control message of at most DP_MAX_CONTROL bytes over connection `id`, if the router has asked for a report there.
void dp_client_send_control(struct dp_client *client, uint32_t id, const uint8_t *packet, uint32_t length);
