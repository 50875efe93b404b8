#include "egress.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/segment.h"
#include <string.h>

// Where the packet is read to: behind room for the header of the frame that it most likely becomes.
static size_t packet_at(enum dp_wire wire) { return wire == DP_WIRE_SUPER ? WIRE_FRAME_HEADER_LENGTH + WIRE_SUPER_HEADER_LENGTH : WIRE_FRAME_HEADER_LENGTH; }

static void count_sent(struct dp_egress *egress, uint64_t packets, uint64_t bytes) {
  dp_add(&egress->counters->sent_packets, packets);
  dp_add(&egress->counters->sent_bytes, bytes);
}

static size_t dropped(_Atomic uint64_t *cause) {
  dp_add(cause, 1);
  return 0;
}

// Moves the packet to where a plain frame has it.
static uint8_t *make_plain(uint8_t *out, const uint8_t *packet, uint32_t length) {
  return memmove(out + WIRE_FRAME_HEADER_LENGTH, packet, length);
}

static size_t plain_frame(struct dp_egress *egress, uint8_t *out, const uint8_t *packet, uint32_t length) {
  if (length > WIRE_MAX_PACKET) return dropped(&egress->counters->out_too_long);
  make_plain(out, packet, length);
  dp_put16(out, (uint16_t)length);
  count_sent(egress, 1, length);
  return WIRE_FRAME_HEADER_LENGTH + length;
}

// A packet that is to be segmented (GSO). The kernel says where the transport header is: extension headers may lie before it.
static size_t burst(struct dp_egress *egress, enum dp_wire wire, const struct dp_virtio *virtio, uint8_t *out, uint32_t length) {
  uint8_t *packet = out + packet_at(wire), gso = virtio->gso & (uint8_t)~DP_GSO_ECN;
  uint8_t protocol = gso == DP_GSO_UDP ? DP_UDP : DP_TCP;
  struct dp_headers at, simple;
  uint32_t count = 0;
  if (!dp_headers_at(packet, length, virtio->checksum_start, protocol, &at) || length == at.length ||
      virtio->segment < WIRE_MIN_SEGMENT || gso != dp_gso_of(&at))
    return dropped(&egress->counters->out_malformed);
  if (virtio->segment + at.length > WIRE_MAX_PACKET) return dropped(&egress->counters->out_too_long);
  bool is_simple = dp_find_headers(packet, length, &simple);
  // The receiver finds the headers from the packet alone, so they must be where the kernel says.
  if (is_simple && (simple.protocol != at.protocol || simple.transport != at.transport))
    return dropped(&egress->counters->out_malformed);
  size_t size;
  if (wire == DP_WIRE_SUPER && length <= DP_MAX_SUPER_PACKET && is_simple) {
    dp_super_header(out, length, true, gso, virtio->segment);
    size = packet_at(wire) + length;
    count = (length - at.length + virtio->segment - 1) / virtio->segment;
  } else {
    packet = make_plain(out, packet, length);
    size = dp_segment(packet, length, &at, virtio->segment, out, DP_EGRESS_ROOM, &count);
    if (size == 0) return dropped(&egress->counters->out_too_long);
  }
  dp_add(&egress->counters->sent_bursts, 1);
  count_sent(egress, count, length + (uint64_t)(count - 1) * at.length);
  return size;
}

static size_t single(struct dp_egress *egress, enum dp_wire wire, const struct dp_virtio *virtio, uint8_t *out, uint32_t length) {
  uint8_t *packet = out + packet_at(wire);
  struct dp_headers at;
  if ((virtio->flags & DP_NEEDS_CHECKSUM) == 0) return plain_frame(egress, out, packet, length);
  bool simple = dp_find_headers(packet, length, &at) && virtio->checksum_start == at.transport &&
                virtio->checksum_offset == dp_checksum_offset(at.protocol);
  if (wire == DP_WIRE_SUPER && simple) {
    if (length > WIRE_MAX_PACKET) return dropped(&egress->counters->out_too_long);
    dp_super_header(out, length, true, DP_GSO_NONE, 0);
    count_sent(egress, 1, length);
    return packet_at(wire) + length;
  }
  uint32_t ip_header = packet[0] >> 4 == 6 ? DP_IPV6_HEADER : 4u * (packet[0] & 15);
  if (virtio->checksum_start < ip_header ||
      !dp_checksum_complete(packet, length, virtio->checksum_start, virtio->checksum_offset))
    return dropped(&egress->counters->out_malformed);
  return plain_frame(egress, out, packet, length);
}

bool dp_egress_local(struct dp_egress *egress, const struct dp_virtio *virtio, uint8_t *packet, uint32_t length) {
  if (egress->local == NULL || length > WIRE_MAX_PACKET || virtio->gso != DP_GSO_NONE || !dp_is_local(packet, length)) return false;
  if ((virtio->flags & DP_NEEDS_CHECKSUM) != 0 && (virtio->checksum_start < DP_IPV6_HEADER ||
      !dp_checksum_complete(packet, length, virtio->checksum_start, virtio->checksum_offset)))
    return false;
  egress->local(egress->owner, packet, length);
  return true;
}

int dp_egress_read(struct dp_egress *egress, enum dp_wire wire, uint8_t *out, size_t *size, uint32_t *hash) {
  struct dp_virtio virtio;
  uint8_t *packet = out + packet_at(wire);
  ssize_t got = dp_tun_read(egress->tun, &virtio, packet, DP_EGRESS_ROOM - packet_at(wire));
  if (got <= 0) return (int)got;
  uint32_t length = (uint32_t)got;
  *size = 0;
  if (dp_egress_local(egress, &virtio, packet, length)) return 1;
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
