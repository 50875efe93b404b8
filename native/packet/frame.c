#include "frame.h"
#include "bytes.h"
#include <string.h>

enum dp_gso dp_gso_of(const struct dp_headers *headers) {
  if (headers->protocol == DP_UDP) return DP_GSO_UDP;
  return headers->version == 6 ? DP_GSO_TCP6 : DP_GSO_TCP4;
}

uint32_t dp_segments(const struct dp_frame *frame) {
  if (frame->gso == DP_GSO_NONE || frame->length <= frame->headers.length) return 1;
  return (frame->length - frame->headers.length + frame->segment - 1) / frame->segment;
}

// Checks everything that the kernel will be told against the packet.
static enum dp_frame_state read_super(uint8_t *body, uint32_t length, struct dp_frame *frame) {
  if (length <= WIRE_SUPER_HEADER_LENGTH || (body[0] & 0x0e) != 0) return DP_FRAME_BAD;
  *frame = (struct dp_frame){.packet = body + WIRE_SUPER_HEADER_LENGTH,
                             .length = length - WIRE_SUPER_HEADER_LENGTH,
                             .partial = (body[0] & WIRE_PARTIAL_CHECKSUM) != 0,
                             .gso = body[1],
                             .segment = dp_get16(body + 2)};
  if (frame->gso == DP_GSO_NONE) {
    if (frame->segment != 0 || frame->length > WIRE_MAX_PACKET) return DP_FRAME_BAD;
    if (!frame->partial) return DP_FRAME_WHOLE;
    return dp_find_headers(frame->packet, frame->length, &frame->headers) ? DP_FRAME_WHOLE : DP_FRAME_BAD;
  }
  if (!frame->partial || !dp_find_headers(frame->packet, frame->length, &frame->headers)) return DP_FRAME_BAD;
  if (frame->gso != dp_gso_of(&frame->headers) || frame->length == frame->headers.length) return DP_FRAME_BAD;
  if (frame->segment < WIRE_MIN_SEGMENT || frame->segment + frame->headers.length > WIRE_MAX_PACKET) return DP_FRAME_BAD;
  return DP_FRAME_WHOLE;
}

enum dp_frame_state dp_frame_read(enum dp_wire wire, uint8_t *bytes, size_t length, struct dp_frame *frame, size_t *size) {
  if (length < WIRE_FRAME_HEADER_LENGTH) return DP_FRAME_TORN;
  uint32_t announced = dp_get16(bytes);
  uint8_t *body = bytes + WIRE_FRAME_HEADER_LENGTH;
  bool super = false;
  if (announced > WIRE_MAX_PACKET && wire != DP_WIRE_SUPER) return DP_FRAME_OVERSIZED;
  if (announced > 0 && wire == DP_WIRE_SUPER) {
    if (length == WIRE_FRAME_HEADER_LENGTH) return DP_FRAME_TORN;
    super = body[0] >> 4 == WIRE_SUPER_NIBBLE;
    if (announced > WIRE_MAX_PACKET && !super) return DP_FRAME_OVERSIZED;
  }
  if (length - WIRE_FRAME_HEADER_LENGTH < announced) return DP_FRAME_TORN;
  *size = WIRE_FRAME_HEADER_LENGTH + announced;
  if (announced == 0) return DP_FRAME_EMPTY;
  if (super) return read_super(body, announced, frame);
  *frame = (struct dp_frame){.packet = body, .length = announced, .control = body[0] >> 4 == WIRE_CONTROL_NIBBLE};
  return DP_FRAME_WHOLE;
}

void dp_super_header(uint8_t *at, uint32_t length, bool partial, uint8_t gso, uint16_t segment) {
  dp_put16(at, (uint16_t)(length + WIRE_SUPER_HEADER_LENGTH));
  at[2] = WIRE_SUPER_NIBBLE << 4 | (partial ? WIRE_PARTIAL_CHECKSUM : 0);
  at[3] = gso;
  dp_put16(at + 4, segment);
}

uint32_t dp_frame_copy(const struct dp_frame *frame, uint8_t *out) {
  uint32_t size = dp_frame_size(frame), header = size - frame->length;
  if (header > WIRE_FRAME_HEADER_LENGTH) dp_super_header(out, frame->length, frame->partial, frame->gso, frame->segment);
  else dp_put16(out, (uint16_t)frame->length);
  memcpy(out + header, frame->packet, frame->length);
  return size;
}
