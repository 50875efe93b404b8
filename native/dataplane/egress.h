// What the TUN gives becomes frames for the peer: filtered, and on a wire without super-frames cut and with whole checksums.
#pragma once
#include "frame.h"
#include "tun.h"

// Room that one packet may need in the worst case: 64 KB of payload cut into the smallest segments that are accepted in earnest.
enum { DP_EGRESS_ROOM = 2 * 65536 };

struct dp_egress {
  struct dp_tun *tun;
  const struct dp_filter *filter;
  struct dp_counters *counters;
  // Gets the packets for who serves the link (dp_is_local), if there is anybody; else NULL, and they are dropped like others.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
  void *owner;
};

// Gives the packet away if it is a local one; true if it did, and the packet is not to be sent.
bool dp_egress_local(struct dp_egress *egress, const struct dp_virtio *virtio, uint8_t *packet, uint32_t length);

// Reads one packet of the TUN and writes what leaves of it to `out`, which has DP_EGRESS_ROOM bytes at least, as frames of one flow,
// whose hash is in `*hash`. Returns 1 with `*size` bytes (0 if the packet was dropped, which is counted), 0 if there was no
// packet, or a negative errno if the TUN was removed.
int dp_egress_read(struct dp_egress *egress, enum dp_wire wire, uint8_t *out, size_t *size, uint32_t *hash);
