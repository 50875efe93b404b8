#include "segment.h"
#include "bytes.h"
#include "checksum.h"
#include "frame.h"
#include <arpa/inet.h>
#include <string.h>

// What all segments of a packet share.
struct cut {
  uint8_t headers[DP_MAX_HEADERS];
  struct dp_headers at;
  uint32_t first_sequence;
  uint16_t first_id;
  uint8_t tcp_flags;
  uint64_t sum;  // of the pseudo header's addresses and protocol, and the transport header without what differs
};

static uint32_t segments_of(uint32_t payload, uint16_t segment) { return payload == 0 ? 1 : (payload + segment - 1) / segment; }

size_t dp_segmented_size(uint32_t length, const struct dp_headers *headers, uint16_t segment) {
  if (segment == 0 || length < headers->length) return 0;
  uint32_t payload = length - headers->length;
  return (size_t)segments_of(payload, segment) * (WIRE_FRAME_HEADER_LENGTH + headers->length) + payload;
}

static void prepare(struct cut *cut, const uint8_t *packet, const struct dp_headers *headers) {
  uint8_t *transport = cut->headers + headers->transport;
  memcpy(cut->headers, packet, headers->length);
  cut->at = *headers;
  if (headers->version == 4) cut->first_id = dp_get16(packet + 4);
  if (headers->protocol == DP_TCP) {
    cut->first_sequence = dp_get32(transport + 4);
    cut->tcp_flags = transport[13];
    memset(transport + 4, 0, 4);
    transport[13] = 0;
    memset(transport + 16, 0, 2);
  } else {
    memset(transport + 4, 0, 4);
  }
  cut->sum = dp_pseudo_sum(packet, headers->protocol, 0) + dp_sum(transport, headers->length - headers->transport);
}

static void write_ip(const struct cut *cut, uint8_t *packet, uint32_t length, uint32_t index) {
  if (cut->at.version == 6) {
    dp_put16(packet + 4, (uint16_t)(length - DP_IPV6_HEADER));
    return;
  }
  dp_put16(packet + 2, (uint16_t)length);
  dp_put16(packet + 4, (uint16_t)(cut->first_id + index));
  dp_checksum_ipv4(packet, 4u * (packet[0] & 15));
}

static void write_tcp(const struct cut *cut, uint8_t *tcp, uint64_t sum, uint32_t offset, bool first, bool last) {
  uint8_t flags = cut->tcp_flags;
  uint32_t sequence;
  if (!last) flags &= (uint8_t)~(DP_FIN | DP_PSH);
  if (!first) flags &= (uint8_t)~DP_CWR;
  dp_put32(tcp + 4, cut->first_sequence + offset);
  tcp[13] = flags;
  memcpy(&sequence, tcp + 4, sizeof sequence);
  dp_put_sum(tcp + 16, (uint16_t)~dp_fold(sum + sequence + htons(flags)));
}

static void write_udp(uint8_t *udp, uint64_t sum, uint32_t length) {
  dp_put16(udp + 4, (uint16_t)length);
  uint16_t checksum = (uint16_t)~dp_fold(sum + htons((uint16_t)length));
  dp_put_sum(udp + 6, checksum == 0 ? 0xffff : checksum);
}

size_t dp_segment(const uint8_t *packet, uint32_t length, const struct dp_headers *headers, uint16_t segment, uint8_t *out,
                  size_t capacity, uint32_t *count) {
  uint32_t ip_header = headers->version == 6 ? DP_IPV6_HEADER : 4u * (packet[0] & 15);
  if (segment == 0 || headers->length > length || headers->transport < ip_header || ip_header < DP_IPV4_HEADER) return 0;
  if (segment + headers->length > WIRE_MAX_PACKET) return 0;
  size_t total = dp_segmented_size(length, headers, segment);
  if (total > capacity) return 0;
  uint32_t payload = length - headers->length, segments = segments_of(payload, segment);
  struct cut cut;
  prepare(&cut, packet, headers);
  // From the last to the first, so that in place no segment overwrites payload that is still to be moved.
  for (uint32_t i = segments; i-- > 0;) {
    uint32_t offset = i * segment, size = i == segments - 1 ? payload - offset : segment;
    uint8_t *frame = out + (size_t)i * (WIRE_FRAME_HEADER_LENGTH + headers->length + segment);
    uint8_t *copy = frame + WIRE_FRAME_HEADER_LENGTH, *transport = copy + headers->transport;
    uint32_t whole = headers->length + size;
    memmove(copy + headers->length, packet + headers->length + offset, size);
    memcpy(copy, cut.headers, headers->length);
    dp_put16(frame, (uint16_t)whole);
    write_ip(&cut, copy, whole, i);
    uint64_t sum = cut.sum + dp_sum(copy + headers->length, size) + htonl(whole - headers->transport);
    if (headers->protocol == DP_TCP) write_tcp(&cut, transport, sum, offset, i == 0, i == segments - 1);
    else write_udp(transport, sum, whole - headers->transport);
  }
  *count = segments;
  return total;
}
