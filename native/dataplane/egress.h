// Packets of the TUN to frames for the peer: filtered, and for a peer without super-frames segmented and with complete checksums.
#pragma once
#include "packet/frame.h"
#include "tun.h"

// Room that one packet needs: 64 KB of payload in small segments, each with a copy of the headers. One that needs more is dropped.
enum { DP_EGRESS_ROOM = 2 * 65536 };

struct dp_egress {
  struct dp_tun *tun;
  const struct dp_filter *filter;
  struct dp_counters *counters;
  // Gets the packets for the LAN server (dp_is_local); NULL if there is none, and then they are filtered like others.
  void (*local)(void *owner, const uint8_t *packet, uint32_t length);
  void *owner;
};

// Hands the packet to the LAN server if it is for it; true if so, and then the packet is not to be sent.
bool dp_egress_local(struct dp_egress *egress, const struct dp_virtio *virtio, uint8_t *packet, uint32_t length);

// Reads one packet of the TUN and writes what is to be sent of it to `out`, which has DP_EGRESS_ROOM bytes at least, as frames of one flow,
// whose hash is in `*hash`. Returns 1 with `*size` bytes (0 if the packet was dropped, which is counted), 0 if there was no
// packet, or a negative errno if the TUN was removed.
int dp_egress_read(struct dp_egress *egress, enum dp_wire wire, uint8_t *out, size_t *size, uint32_t *hash);
