#include "frame.h"
#include "bytes.h"
#include <string.h>

enum { SUPER_NIBBLE = 0xE, CONTROL_NIBBLE = 0xF, PARTIAL_FLAG = 1 };

enum dp_gso dp_gso_of(const struct dp_headers *headers) {
  if (headers->protocol == DP_UDP) return DP_GSO_UDP;
  return headers->version == 6 ? DP_GSO_TCP6 : DP_GSO_TCP4;
}

uint32_t dp_segments(const struct dp_frame *frame) {
  if (frame->gso == DP_GSO_NONE || frame->length <= frame->headers.length) return 1;
  return (frame->length - frame->headers.length + frame->segment - 1) / frame->segment;
}

// Everything the kernel will be told is checked against the packet.
static enum dp_frame_state read_super(uint8_t *body, uint32_t length, struct dp_frame *frame) {
  if (length <= DP_SUPER_HEADER || (body[0] & 0x0e) != 0) return DP_FRAME_BAD;
  *frame = (struct dp_frame){.packet = body + DP_SUPER_HEADER,
                             .length = length - DP_SUPER_HEADER,
                             .partial = (body[0] & PARTIAL_FLAG) != 0,
                             .gso = body[1],
                             .segment = dp_get16(body + 2)};
  if (frame->gso == DP_GSO_NONE) {
    if (frame->segment != 0 || frame->length > DP_MAX_PACKET) return DP_FRAME_BAD;
    if (!frame->partial) return DP_FRAME_WHOLE;
    return dp_find_headers(frame->packet, frame->length, &frame->headers) ? DP_FRAME_WHOLE : DP_FRAME_BAD;
  }
  if (!frame->partial || !dp_find_headers(frame->packet, frame->length, &frame->headers)) return DP_FRAME_BAD;
  if (frame->gso != dp_gso_of(&frame->headers) || frame->length == frame->headers.length) return DP_FRAME_BAD;
  if (frame->segment < DP_MIN_SEGMENT || frame->segment + frame->headers.length > DP_MAX_PACKET) return DP_FRAME_BAD;
  return DP_FRAME_WHOLE;
}

enum dp_frame_state dp_frame_read(enum dp_wire wire, uint8_t *bytes, size_t length, struct dp_frame *frame, size_t *size) {
  if (length < DP_FRAME_HEADER) return DP_FRAME_TORN;
  uint32_t announced = dp_get16(bytes);
  uint8_t *body = bytes + DP_FRAME_HEADER;
  bool super = false;
  if (announced > DP_MAX_PACKET && wire != DP_WIRE_SUPER) return DP_FRAME_OVERSIZED;
  if (announced > 0 && wire == DP_WIRE_SUPER) {
    if (length == DP_FRAME_HEADER) return DP_FRAME_TORN;
    super = body[0] >> 4 == SUPER_NIBBLE;
    if (announced > DP_MAX_PACKET && !super) return DP_FRAME_OVERSIZED;
  }
  if (length - DP_FRAME_HEADER < announced) return DP_FRAME_TORN;
  *size = DP_FRAME_HEADER + announced;
  if (announced == 0) return DP_FRAME_EMPTY;
  if (super) return read_super(body, announced, frame);
  *frame = (struct dp_frame){.packet = body, .length = announced, .control = body[0] >> 4 == CONTROL_NIBBLE};
  return DP_FRAME_WHOLE;
}

void dp_super_header(uint8_t *at, uint32_t length, bool partial, uint8_t gso, uint16_t segment) {
  dp_put16(at, (uint16_t)(length + DP_SUPER_HEADER));
  at[2] = SUPER_NIBBLE << 4 | (partial ? PARTIAL_FLAG : 0);
  at[3] = gso;
  dp_put16(at + 4, segment);
}

uint32_t dp_frame_copy(const struct dp_frame *frame, uint8_t *out) {
  uint32_t size = dp_frame_size(frame), header = size - frame->length;
  if (header > DP_FRAME_HEADER) dp_super_header(out, frame->length, frame->partial, frame->gso, frame->segment);
  else dp_put16(out, (uint16_t)frame->length);
  memcpy(out + header, frame->packet, frame->length);
  return size;
}
