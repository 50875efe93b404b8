// Control messages (docs/wire.md): what the client does with those that it understands, and sends.
#pragma once
#include "client.h"

// Takes the packet of a control frame; one that is not understood, or comes on enftun's own wire, is ignored. False if the connection
// is over with it.
bool dp_control_take(struct dp_client *client, const struct dp_frame *frame);
// Sends a control message of at most DP_MAX_CONTROL bytes over connection `id`, if that has asked for one.
void dp_client_send_control(struct dp_client *client, uint32_t id, const uint8_t *packet, uint32_t length);
