// What one end cuts, the other joins again. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/packet/checksum.h"
#include "../../../native/dataplane/gro.h"
#include "../../../native/packet/segment.h"
#include "../check.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TCP_OPTIONS = 12, ROOM = 2 * 65536 };

static struct dp_counters counters;

struct host {
  int tun, ends[2];
  struct dp_tun device;
  struct dp_gro gro;
};

static void open_host(struct host *host) {
  int room = 1 << 20;
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, host->ends) == 0);
  setsockopt(host->ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  host->device = (struct dp_tun){.fd = host->ends[0], .offload = DP_OFFLOAD_UDP, .counters = &counters};
  host->gro = (struct dp_gro){.tun = &host->device};
}

static void close_host(struct host *host) {
  close(host->ends[0]);
  close(host->ends[1]);
}

// A TCP packet as a kernel hands it over to be cut: its checksum is the sum of the pseudo header.
static uint32_t make_packet(uint8_t *packet, uint8_t version, uint32_t payload, struct dp_headers *at) {
  uint32_t ip = version == 6 ? DP_IPV6_HEADER : DP_IPV4_HEADER, message = DP_TCP_HEADER + TCP_OPTIONS + payload, length = ip + message;
  uint8_t *tcp = packet + ip;
  memset(packet, 0, ip + DP_TCP_HEADER);
  packet[0] = version == 6 ? 0x60 : 0x45;
  if (version == 6) {
    dp_put16(packet + 4, (uint16_t)message);
    packet[6] = DP_TCP;
    packet[7] = 64;
    packet[23] = packet[39] = 1;
  } else {
    dp_put16(packet + 2, (uint16_t)length);
    packet[8] = 64;
    packet[9] = DP_TCP;
    packet[15] = packet[19] = 1;
    dp_checksum_ipv4(packet, DP_IPV4_HEADER);
  }
  dp_put32(tcp + 4, 0xfffffff0);
  tcp[12] = (DP_TCP_HEADER + TCP_OPTIONS) / 4 << 4;
  tcp[13] = DP_ACK | DP_PSH;
  static const uint8_t time[TCP_OPTIONS] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
  memcpy(tcp + DP_TCP_HEADER, time, sizeof time);
  for (uint32_t i = 0; i < payload; i++) tcp[DP_TCP_HEADER + TCP_OPTIONS + i] = (uint8_t)(i * 2654435761u >> 13);
  dp_put_sum(tcp + 16, dp_fold(dp_pseudo_sum(packet, DP_TCP, message)));
  CHECK(dp_headers_at(packet, length, ip, DP_TCP, at));
  return length;
}

static void give(struct host *host, uint8_t *frames, size_t size) {
  for (size_t offset = 0; offset < size;) {
    uint32_t length = dp_get16(frames + offset);
    struct dp_frame frame = {.packet = frames + offset + WIRE_FRAME_HEADER_LENGTH, .length = length};
    dp_gro_take(&host->gro, &frame);
    offset += WIRE_FRAME_HEADER_LENGTH + length;
  }
  dp_gro_flush(&host->gro);
}

static void cut_and_join(uint8_t version, uint32_t payload, uint16_t segment) {
  static uint8_t packet[ROOM], frames[ROOM], got[ROOM];
  struct host host;
  struct dp_headers at;
  uint32_t count, length = make_packet(packet, version, payload, &at);
  open_host(&host);
  size_t size = dp_segment(packet, length, &at, segment, frames, sizeof frames, &count);
  CHECK(size > 0 && count == (payload + segment - 1) / segment);
  give(&host, frames, size);
  struct dp_virtio virtio;
  ssize_t read = recv(host.ends[1], got, sizeof got, 0);
  CHECK(read == (ssize_t)(sizeof virtio + length));
  memcpy(&virtio, got, sizeof virtio);
  CHECK(virtio.flags == DP_NEEDS_CHECKSUM && virtio.segment == segment && virtio.header_length == at.length);
  CHECK(memcmp(got + sizeof virtio, packet, length) == 0);
  CHECK(recv(host.ends[1], got, sizeof got, 0) < 0);
  close_host(&host);
}

// As large as Linux makes them: as many whole segments as 65,535 bytes hold behind the largest headers it reckons with.
static void the_largest_bursts_stay_one(void) {
  cut_and_join(6, 54 * 1208, 1208);
  cut_and_join(4, 53 * 1228, 1228);
  cut_and_join(6, 45 * 1424, 1424);
  cut_and_join(4, 45 * 1440, 1440);
}

static void the_last_segment_may_be_short(void) {
  cut_and_join(6, 53 * 1208 + 1, 1208);
  cut_and_join(4, 1228 + 1227, 1228);
}

// More than one packet may say: the rest begins another one.
static void no_joined_packet_is_too_long(void) {
  static uint8_t packet[ROOM], frames[2 * ROOM], got[ROOM];
  struct host host;
  struct dp_headers at;
  uint32_t count, length = make_packet(packet, 6, 1424, &at), frame = WIRE_FRAME_HEADER_LENGTH + length;
  open_host(&host);
  for (uint32_t i = 0; i < 47; i++) {
    dp_put32(packet + at.transport + 4, 1424 * i);
    packet[at.transport + 13] = DP_ACK;
    dp_put_sum(packet + at.transport + 16, dp_fold(dp_pseudo_sum(packet, DP_TCP, length - at.transport)));
    CHECK(dp_segment(packet, length, &at, 1424, frames + i * frame, ROOM, &count) == frame);
  }
  give(&host, frames, 47 * frame);
  ssize_t first = recv(host.ends[1], got, sizeof got, 0);
  CHECK(first == (ssize_t)(sizeof(struct dp_virtio) + at.length + 45 * 1424));
  CHECK(dp_get16(got + sizeof(struct dp_virtio) + 4) == first - (ssize_t)sizeof(struct dp_virtio) - DP_IPV6_HEADER);
  CHECK(recv(host.ends[1], got, sizeof got, 0) == (ssize_t)(sizeof(struct dp_virtio) + at.length + 2 * 1424));
  close_host(&host);
}

int main(void) {
  the_largest_bursts_stay_one();
  the_last_segment_may_be_short();
  no_joined_packet_is_too_long();
  puts("ok");
  return 0;
}
