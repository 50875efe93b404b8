#include "dp_egress.h"
#include "dp_bytes.h"
#include "dp_checksum.h"
#include "dp_segment.h"
#include <string.h>

// The packet was read behind the room of a super-frame's header: a plain frame's begins later.
enum { PACKET_AT = DP_FRAME_HEADER + DP_SUPER_HEADER };

static void count_sent(struct dp_egress *egress, uint64_t packets, uint64_t bytes) {
  dp_add(&egress->counters->sent_packets, packets);
  dp_add(&egress->counters->sent_bytes, bytes);
}

static size_t dropped(_Atomic uint64_t *cause) {
  dp_add(cause, 1);
  return 0;
}

static size_t plain_frame(struct dp_egress *egress, uint8_t *out, uint32_t length) {
  if (length > DP_MAX_PACKET) return dropped(&egress->counters->out_too_long);
  memmove(out + DP_FRAME_HEADER, out + PACKET_AT, length);
  dp_put16(out, (uint16_t)length);
  count_sent(egress, 1, length);
  return DP_FRAME_HEADER + length;
}

// A packet that the kernel wants to have cut. It says where the transport header is: extension headers may lie before it.
static size_t burst(struct dp_egress *egress, enum dp_wire wire, const struct dp_virtio *virtio, uint8_t *out, uint32_t length) {
  uint8_t *packet = out + PACKET_AT, gso = virtio->gso & (uint8_t)~DP_GSO_ECN;
  uint8_t protocol = gso == DP_GSO_UDP ? DP_UDP : DP_TCP;
  struct dp_headers at, simple;
  uint32_t count = 0;
  if (!dp_headers_at(packet, length, virtio->checksum_start, protocol, &at) || length == at.length ||
      virtio->segment < DP_MIN_SEGMENT || gso != dp_gso_of(&at))
    return dropped(&egress->counters->out_malformed);
  if (virtio->segment + at.length > DP_MAX_PACKET) return dropped(&egress->counters->out_too_long);
  size_t size;
  if (wire == DP_WIRE_SUPER && length <= DP_MAX_SUPER_PACKET && dp_find_headers(packet, length, &simple)) {
    dp_super_header(out, length, true, gso, virtio->segment);
    size = PACKET_AT + length;
    count = (length - at.length + virtio->segment - 1) / virtio->segment;
  } else {
    size = dp_segment(packet, length, &at, virtio->segment, out, DP_EGRESS_ROOM, &count);
    if (size == 0) return dropped(&egress->counters->out_too_long);
  }
  dp_add(&egress->counters->sent_bursts, 1);
  count_sent(egress, count, length + (uint64_t)(count - 1) * at.length);
  return size;
}

static size_t single(struct dp_egress *egress, enum dp_wire wire, const struct dp_virtio *virtio, uint8_t *out, uint32_t length) {
  uint8_t *packet = out + PACKET_AT;
  struct dp_headers at;
  if ((virtio->flags & DP_NEEDS_CHECKSUM) == 0) return plain_frame(egress, out, length);
  bool simple = dp_find_headers(packet, length, &at) && virtio->checksum_start == at.transport &&
                virtio->checksum_offset == dp_checksum_offset(at.protocol);
  if (wire == DP_WIRE_SUPER && simple) {
    if (length > DP_MAX_PACKET) return dropped(&egress->counters->out_too_long);
    dp_super_header(out, length, true, DP_GSO_NONE, 0);
    count_sent(egress, 1, length);
    return PACKET_AT + length;
  }
  if (!dp_checksum_complete(packet, length, virtio->checksum_start, virtio->checksum_offset))
    return dropped(&egress->counters->out_malformed);
  return plain_frame(egress, out, length);
}

int dp_egress_read(struct dp_egress *egress, enum dp_wire wire, uint8_t *out, size_t *size, uint32_t *hash) {
  struct dp_virtio virtio;
  uint8_t *packet = out + PACKET_AT;
  ssize_t got = dp_tun_read(egress->tun, &virtio, packet, DP_EGRESS_ROOM - PACKET_AT);
  if (got <= 0) return (int)got;
  uint32_t length = (uint32_t)got;
  *size = 0;
  switch (dp_egress(egress->filter, packet, length)) {
    case DP_MALFORMED: dp_add(&egress->counters->out_malformed, 1); return 1;
    case DP_FOREIGN: dp_add(&egress->counters->out_foreign, 1); return 1;
    case DP_PASS: break;
  }
  *hash = dp_flow_hash(packet, length);
  bool cut = (virtio.gso & ~DP_GSO_ECN) != DP_GSO_NONE;
  *size = cut ? burst(egress, wire, &virtio, out, length) : single(egress, wire, &virtio, out, length);
  return 1;
}
