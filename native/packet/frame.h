// The frames of the stream inside TLS (docs/wire.md):
//
//    0               2       3       4               6
//   +---------------+-------+-------+---------------+--------- - -
//   | length, u16   | packet: IP, or a control message (nibble F)
//   +---------------+-------+-------+---------------+--------- - -
//   | length, u16   | E0/E1 | gso   | segment size  | packet       super-frame, only on enf/2
//   +---------------+-------+-------+---------------+--------- - -
//
// A super-frame carries no offsets: the receiver computes them from the packet, so that a peer cannot make the kernel use wrong ones.
#pragma once
#include "packet.h"
#include "wire.h"
#include <stddef.h>

enum {
  DP_MAX_FRAME = WIRE_FRAME_HEADER_LENGTH + WIRE_MAX_FRAME_LENGTH,
  DP_MAX_SUPER_PACKET = WIRE_MAX_FRAME_LENGTH - WIRE_SUPER_HEADER_LENGTH,
};

// What ALPN has selected.
enum dp_wire {
  DP_WIRE_PLAIN,     // nothing: enftun's frames
  DP_WIRE_CONTROL,   // enf/1: control messages
  DP_WIRE_SUPER,     // enf/2: control messages and super-frames
};

// The values are those of the virtio header.
enum dp_gso { DP_GSO_NONE = WIRE_GSO_NONE, DP_GSO_TCP4 = WIRE_GSO_TCP4, DP_GSO_TCP6 = WIRE_GSO_TCP6, DP_GSO_UDP = WIRE_GSO_UDP };

// A frame's packet, in the memory it was received in. `headers` are known if there is a gso or the checksum is partial.
struct dp_frame {
  uint8_t *packet;
  uint32_t length;
  bool control;       // no IP packet but a control message
  bool partial;       // the transport checksum holds the sum of the pseudo header only
  uint8_t gso;        // enum dp_gso: the packet is to be cut into segments of `segment` bytes of payload
  uint16_t segment;
  struct dp_headers headers;
};

enum dp_frame_state {
  DP_FRAME_WHOLE,
  DP_FRAME_EMPTY,      // means nothing; skip it
  DP_FRAME_BAD,        // a super-frame that contradicts itself; skip it
  DP_FRAME_TORN,       // the rest is still to come
  DP_FRAME_OVERSIZED,  // the peer uses another framing: end the connection
};

// Reads the frame at `bytes`; `*size` is what it takes there, unless it is torn or oversized. Nothing is written but *frame, *size.
enum dp_frame_state dp_frame_read(enum dp_wire wire, uint8_t *bytes, size_t length, struct dp_frame *frame, size_t *size);
// Writes both headers of a super-frame. `length` is the packet's, at most DP_MAX_SUPER_PACKET.
void dp_super_header(uint8_t *at, uint32_t length, bool partial, uint8_t gso, uint16_t segment);
// The gso type of TCP or UDP segments behind these headers.
enum dp_gso dp_gso_of(const struct dp_headers *headers);
// How many segments a packet makes.
uint32_t dp_segments(const struct dp_frame *frame);
// Copies a frame in its canonical form: as a super-frame only if it needs one. `out` has DP_MAX_FRAME bytes; returns what it takes.
uint32_t dp_frame_copy(const struct dp_frame *frame, uint8_t *out);
// The size of that copy.
static inline uint32_t dp_frame_size(const struct dp_frame *frame) {
  bool super = frame->partial || frame->gso != DP_GSO_NONE;
  return WIRE_FRAME_HEADER_LENGTH + (super ? WIRE_SUPER_HEADER_LENGTH : 0) + frame->length;
}
