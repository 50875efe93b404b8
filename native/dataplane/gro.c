#include "gro.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include <string.h>

// With an Ethernet header and a tag it is still less than the 64 KB that a device takes at once (gso_max_size).
enum { MAX_JOINED = 65535 - 18 };

static void count_received(struct dp_tun *tun, uint64_t packets, uint64_t bytes) {
  dp_add(&tun->counters->received_packets, packets);
  dp_add(&tun->counters->received_bytes, bytes);
}

void dp_gro_write(struct dp_tun *tun, const struct dp_frame *frame) {
  struct dp_virtio virtio = {0};
  struct iovec parts[2] = {{NULL, 0}, {frame->packet, frame->length}};
  uint32_t segments = dp_segments(frame);
  if (frame->partial) {
    virtio.flags = DP_NEEDS_CHECKSUM;
    virtio.checksum_start = frame->headers.transport;
    virtio.checksum_offset = dp_checksum_offset(frame->headers.protocol);
  }
  if (frame->gso != DP_GSO_NONE) {
    virtio.gso = frame->gso;
    virtio.segment = frame->segment;
    virtio.header_length = frame->headers.length;
    dp_add(&tun->counters->received_bursts, 1);
  }
  if (dp_tun_write(tun, &virtio, parts, 2))
    count_received(tun, segments, frame->length + (uint64_t)(segments - 1) * frame->headers.length);
}

// The headers of a joined packet describe the whole. Its checksum is partial: whoever segments it again completes it.
static void write_joined(struct dp_gro *gro, struct dp_gro_flow *flow) {
  const struct dp_headers *at = &flow->first.headers;
  uint8_t headers[DP_MAX_HEADERS], *transport = headers + at->transport;
  uint32_t message = flow->total - at->transport;
  memcpy(headers, flow->first.packet, at->length);
  if (at->version == 6) {
    dp_put16(headers + 4, (uint16_t)(flow->total - DP_IPV6_HEADER));
  } else {
    dp_put16(headers + 2, (uint16_t)flow->total);
    dp_checksum_ipv4(headers, DP_IPV4_HEADER);
  }
  if (at->protocol == DP_UDP) dp_put16(transport + 4, (uint16_t)message);
  else if (flow->push) transport[13] |= DP_PSH;
  uint16_t offset = dp_checksum_offset(at->protocol);
  dp_put_sum(transport + offset, dp_fold(dp_pseudo_sum(headers, at->protocol, message)));
  struct dp_virtio virtio = {.flags = DP_NEEDS_CHECKSUM,
                             .gso = dp_gso_of(at),
                             .header_length = at->length,
                             .segment = flow->segment,
                             .checksum_start = at->transport,
                             .checksum_offset = offset};
  flow->parts[1] = (struct iovec){headers, at->length};
  dp_add(&gro->tun->counters->received_bursts, 1);
  dp_add(&gro->tun->counters->coalesced_packets, flow->count);
  if (dp_tun_write(gro->tun, &virtio, flow->parts, 2 + flow->count))
    count_received(gro->tun, flow->count, flow->total + (uint64_t)(flow->count - 1) * at->length);
}

static void flush_flow(struct dp_gro *gro, struct dp_gro_flow *flow) {
  if (flow->count == 1) dp_gro_write(gro->tun, &flow->first);
  else if (flow->count > 1) write_joined(gro, flow);
  flow->count = 0;
}

void dp_gro_flush(struct dp_gro *gro) {
  for (unsigned i = 0; i < gro->used; i++) flush_flow(gro, &gro->flows[i]);
  gro->used = 0;
}

static bool right_checksum(const struct dp_frame *frame, const struct dp_headers *at) {
  const uint8_t *transport = frame->packet + at->transport;
  uint32_t message = frame->length - at->transport;
  uint64_t sum = dp_pseudo_sum(frame->packet, at->protocol, message) + dp_sum(transport, message);
  return dp_fold(sum) == 0xffff;
}

// A pure acknowledgement with no option but timestamps: a later one does not repeat what a selective acknowledgement says.
static bool only_acknowledges(const struct dp_frame *frame, const struct dp_headers *at) {
  static const uint8_t time[] = {1, 1, 8, 10};
  const uint8_t *tcp = frame->packet + at->transport;
  uint32_t options = (uint32_t)(at->length - at->transport) - DP_TCP_HEADER;
  bool usual = options == 0 || (options == 12 && memcmp(tcp + DP_TCP_HEADER, time, sizeof time) == 0);
  return at->protocol == DP_TCP && frame->length == at->length && (tcp[12] & 15) == 0 && tcp[13] == DP_ACK && usual;
}

// Can the packet be joined? It has no flags that a joined packet cannot have, and its UDP length is the packet's.
static bool joinable(const struct dp_gro *gro, const struct dp_frame *frame, const struct dp_headers *at) {
  const uint8_t *transport = frame->packet + at->transport;
  if (frame->gso != DP_GSO_NONE) return false;
  if (at->version == 4 && dp_fold(dp_sum(frame->packet, DP_IPV4_HEADER)) != 0xffff) return false;
  if (frame->length <= at->length) return only_acknowledges(frame, at);
  if (at->protocol == DP_TCP) return (transport[12] & 15) == 0 && (transport[13] & ~DP_PSH) == DP_ACK;
  return gro->tun->offload == DP_OFFLOAD_UDP && dp_get16(transport + 4) == frame->length - at->transport &&
         (frame->partial || dp_get16(transport + 6) != 0);
}

static bool same_flow(const struct dp_gro_flow *flow, const uint8_t *packet, const struct dp_headers *at) {
  const struct dp_headers *first = &flow->first.headers;
  const uint8_t *other = flow->first.packet;
  if (flow->count == 0 || first->version != at->version || first->protocol != at->protocol) return false;
  bool addresses = at->version == 6 ? memcmp(packet + 8, other + 8, 32) == 0 : memcmp(packet + 12, other + 12, 8) == 0;
  return addresses && memcmp(packet + at->transport, other + first->transport, 4) == 0;
}

// Class, flow label and hop limit; for IPv4 also "don't fragment".
static bool same_ip(const uint8_t *packet, const uint8_t *other, uint8_t version) {
  if (version == 6) return memcmp(packet, other, 4) == 0 && packet[7] == other[7];
  return packet[1] == other[1] && packet[8] == other[8] && packet[6] == other[6];
}

// Acknowledgement, window and options.
static bool same_tcp(const struct dp_gro_flow *flow, const uint8_t *tcp, uint32_t header) {
  const uint8_t *first = flow->first.packet + flow->first.headers.transport;
  return dp_get32(tcp + 4) == flow->next_sequence && memcmp(tcp + 8, first + 8, 4) == 0 && memcmp(tcp + 14, first + 14, 2) == 0 &&
         memcmp(tcp + DP_TCP_HEADER, first + DP_TCP_HEADER, header - DP_TCP_HEADER) == 0;
}

static bool continues(const struct dp_gro_flow *flow, const struct dp_frame *frame, const struct dp_headers *at) {
  uint32_t payload = frame->length - at->length;
  if (payload == 0 || flow->closed || at->length != flow->first.headers.length || payload > flow->segment) return false;
  if (flow->count == DP_GRO_SEGMENTS || flow->total + payload > MAX_JOINED) return false;
  if (!same_ip(frame->packet, flow->first.packet, at->version)) return false;
  return at->protocol == DP_UDP || same_tcp(flow, frame->packet + at->transport, (uint32_t)(at->length - at->transport));
}

// The packet kept is a pure acknowledgement, and this one acknowledges more. Duplicates are all delivered: TCP counts them.
static bool supersedes(const struct dp_gro_flow *flow, const struct dp_frame *frame, const struct dp_headers *at) {
  const uint8_t *tcp = frame->packet + at->transport, *first = flow->first.packet + flow->first.headers.transport;
  if (flow->segment > 0 || frame->length > at->length || at->length != flow->first.headers.length) return false;
  if (!same_ip(frame->packet, flow->first.packet, at->version) || memcmp(tcp + 4, first + 4, 4) != 0) return false;
  return (int32_t)(dp_get32(tcp + 8) - dp_get32(first + 8)) > 0;
}

static void append(struct dp_gro_flow *flow, const struct dp_frame *frame, const struct dp_headers *at) {
  uint32_t payload = frame->length - at->length;
  flow->parts[2 + flow->count++] = (struct iovec){frame->packet + at->length, payload};
  flow->total += payload;
  flow->next_sequence += payload;
  flow->push = at->protocol == DP_TCP && (frame->packet[at->transport + 13] & DP_PSH) != 0;
  flow->closed = flow->push || payload < flow->segment;
}

static void begin(struct dp_gro_flow *flow, const struct dp_frame *frame, const struct dp_headers *at) {
  flow->first = *frame;
  flow->first.headers = *at;
  flow->segment = (uint16_t)(frame->length - at->length);
  flow->total = at->length;
  flow->count = 0;
  if (at->protocol == DP_TCP) flow->next_sequence = dp_get32(frame->packet + at->transport + 4);
  append(flow, frame, at);
}

void dp_gro_take(struct dp_gro *gro, const struct dp_frame *frame) {
  struct dp_headers at;
  if (gro->tun->offload == DP_OFFLOAD_NONE || frame->length > WIRE_MAX_PACKET ||
      !dp_find_headers(frame->packet, frame->length, &at)) {
    dp_gro_flush(gro);  // so that order is kept, of fragments for instance
    dp_gro_write(gro->tun, frame);
    return;
  }
  struct dp_gro_flow *flow = NULL;
  for (unsigned i = 0; i < gro->used && flow == NULL; i++)
    if (same_flow(&gro->flows[i], frame->packet, &at)) flow = &gro->flows[i];
  bool keep = joinable(gro, frame, &at) && (frame->partial || right_checksum(frame, &at));
  if (keep && flow != NULL && continues(flow, frame, &at)) {
    append(flow, frame, &at);
    return;
  }
  if (keep && flow != NULL && supersedes(flow, frame, &at)) {
    dp_add(&gro->tun->counters->superseded_acks, 1);
    begin(flow, frame, &at);
    return;
  }
  if (flow != NULL) flush_flow(gro, flow);
  if (!keep) {
    dp_gro_write(gro->tun, frame);
    return;
  }
  if (flow == NULL) {
    if (gro->used == DP_GRO_FLOWS) dp_gro_flush(gro);
    flow = &gro->flows[gro->used++];
  }
  begin(flow, frame, &at);
}
