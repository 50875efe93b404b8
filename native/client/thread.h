// The agent's data plane as a thread of its own, which another thread gives orders to. The other thread never waits for it.
#pragma once
#include "client.h"

struct dp_thread;

// What the thread tells: `report` and, as its last act, `ended`, both called in the thread.
struct dp_listener {
  void *owner;
  void (*report)(void *owner, const struct dp_event *event);
  void (*ended)(void *owner);
  // A packet for who serves the link, valid during the call; NULL if nobody does.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
};

// Starts it over a TUN's descriptor, which it owns if this succeeds. 0 or an errno.
int dp_thread_start(const struct dp_rules *rules, int tun, enum dp_offload offload, struct dp_listener listener,
                    struct dp_thread **thread);
// Ends the connection there is and begins another one. Takes the order.
void dp_thread_connect(struct dp_thread *thread, struct dp_connect_options *options);
void dp_thread_disconnect(struct dp_thread *thread);
// Sends a control message of at most DP_MAX_CONTROL bytes over connection `id`, if that still stands and has asked for one.
void dp_thread_send_control(struct dp_thread *thread, uint32_t id, const uint8_t *packet, uint32_t length);
// Finds out whether the connection still stands.
void dp_thread_probe(struct dp_thread *thread);
// Writes a packet to the TUN, as if it had come from the link. False if the kernel refused it.
bool dp_thread_deliver(struct dp_thread *thread, const uint8_t *packet, size_t length);
// The TUN is closed on return, so that it can be opened anew; the thread itself may take longer if the TPM is signing for it.
void dp_thread_stop(struct dp_thread *thread);
// After dp_thread_stop: waits for its end and frees it.
void dp_thread_join(struct dp_thread *thread);
const struct dp_counters *dp_thread_counters(const struct dp_thread *thread);
