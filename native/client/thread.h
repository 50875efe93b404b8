// The client as a thread. Another thread gives it commands and never waits for it, except to join it.
#pragma once
#include "client.h"

struct dp_thread;

// Callbacks, which run in the thread: `report` for events, `ended` as its last act.
struct dp_listener {
  void *owner;
  void (*report)(void *owner, const struct dp_event *event);
  void (*ended)(void *owner);
  // Gets a packet for the LAN server, valid during the call; NULL if there is none.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
  // Gets the packet of a control message of the connection with this id, valid during the call.
  void (*control)(void *owner, uint32_t id, const uint8_t *packet, uint32_t length);
};

// Starts it over a TUN's descriptor, which it owns if this succeeds. 0 or an errno.
int dp_thread_start(const struct dp_rules *rules, int tun, enum dp_offload offload, struct dp_listener listener,
                    struct dp_thread **thread);
// Ends the present connection and begins another one. Takes the options.
void dp_thread_connect(struct dp_thread *thread, struct dp_connect_options *options);
void dp_thread_disconnect(struct dp_thread *thread);
// Sends a control message of at most DP_MAX_CONTROL bytes over connection `id`, if that is still the present one and its router has asked for a report.
void dp_thread_send_control(struct dp_thread *thread, uint32_t id, const uint8_t *packet, uint32_t length);
// From now on also the addresses of this /64 (8 bytes) are the device's; NULL: of none.
void dp_thread_set_prefix(struct dp_thread *thread, const uint8_t *prefix);
// Checks with a heartbeat whether the connection still works.
void dp_thread_probe(struct dp_thread *thread);
// Writes a packet to the TUN, as if it had come through the tunnel. False if the kernel refused it.
bool dp_thread_deliver(struct dp_thread *thread, const uint8_t *packet, size_t length);
// The TUN is closed on return, so that it can be opened anew; the thread itself may take longer if the TPM is signing for it.
void dp_thread_stop(struct dp_thread *thread);
// After dp_thread_stop: waits for its end and frees it.
void dp_thread_join(struct dp_thread *thread);
const struct dp_counters *dp_thread_counters(const struct dp_thread *thread);
