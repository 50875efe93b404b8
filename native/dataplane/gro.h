// Joins TCP segments and UDP datagrams of one flow into large packets for the TUN (GRO), so that the kernel is entered once for
// dozens of them. Of pure TCP acknowledgements that came together only the last one is delivered, which includes the others. It holds
// pointers into the receive buffer: flush before that is reused.
#pragma once
#include "packet/frame.h"
#include "tun.h"

enum { DP_GRO_FLOWS = 8, DP_GRO_SEGMENTS = 62 };

// A packet that may still grow.
struct dp_gro_flow {
  struct dp_frame first;
  uint32_t total;  // bytes of the packet so far
  uint32_t next_sequence;
  uint16_t segment;  // payload of each but the last; 0: an acknowledgement without any
  uint16_t count;
  bool closed;  // a shorter segment or PSH was the last one
  bool push;
  struct iovec parts[2 + DP_GRO_SEGMENTS];  // virtio header, packet headers, payloads
};

struct dp_gro {
  struct dp_tun *tun;
  unsigned used;
  struct dp_gro_flow flows[DP_GRO_FLOWS];
};

// Takes a packet for the TUN: TCP or UDP is kept to be joined if its checksum is right (or partial: then the sending kernel
// has not computed it yet) and written as it is otherwise. Only packets of the same flow are written before it.
void dp_gro_take(struct dp_gro *gro, const struct dp_frame *frame);
// Writes the packets that are kept.
void dp_gro_flush(struct dp_gro *gro);
// Writes one packet as it is; the kernel gets the checksum and segment information of the frame.
void dp_gro_write(struct dp_tun *tun, const struct dp_frame *frame);
