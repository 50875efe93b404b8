// libFuzzer: a byte stream from a peer, in any pieces and on any wire, to the TUN of any offload. Nothing may be read or written
// out of bounds, and what reaches the kernel must be what the frames allow.
#include "../../native/packet/bytes.h"
#include "../../native/dataplane/ingress.h"
#include "fuzz.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Stands for the kernel: what it is told must fit the packet.
static void check_write(const struct dp_virtio *virtio, const struct iovec *parts, int count) {
  static uint8_t packet[1 << 17];
  size_t length = 0;
  for (int i = 1; i < count; i++) {
    if (length + parts[i].iov_len > sizeof packet) abort();
    memcpy(packet + length, parts[i].iov_base, parts[i].iov_len);
    length += parts[i].iov_len;
  }
  if (length == 0 || length > 65535) abort();
  if (virtio->flags != 0 && (size_t)virtio->checksum_start + virtio->checksum_offset + 2 > length) abort();
  if (virtio->gso == 0 && length > WIRE_MAX_PACKET) abort();
  if (virtio->gso != 0 && (virtio->segment < WIRE_MIN_SEGMENT || virtio->header_length >= length || virtio->flags == 0 ||
                           virtio->segment + virtio->header_length > WIRE_MAX_PACKET))
    abort();
  if (packet[0] >> 4 == 6 && dp_get16(packet + 4) != length - DP_IPV6_HEADER) abort();
  if (packet[0] >> 4 == 4 && dp_get16(packet + 2) != length) abort();
}

bool dp_tun_write(struct dp_tun *tun, const struct dp_virtio *virtio, struct iovec *parts, int count) {
  (void)tun;
  check_write(virtio, parts, count);
  return true;
}

ssize_t dp_tun_read(struct dp_tun *tun, struct dp_virtio *virtio, uint8_t *packet, size_t capacity) {
  (void)tun;
  (void)virtio;
  (void)packet;
  (void)capacity;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct dp_ingress ingress;
  static struct dp_counters counters;
  if (size < 2) return 0;
  enum dp_wire wire = (enum dp_wire)(data[0] % 3);
  struct dp_tun tun = {.fd = -1, .offload = (enum dp_offload)(data[0] / 3 % 3), .counters = &counters};
  struct dp_filter filter = {.any = true, .ipv4 = true};
  size_t piece = 1 + (size_t)data[1] * 8, held = 0;
  dp_ingress_init(&ingress, &tun, &filter);
  // The memory ends where the bytes do, so that the sanitizer sees the first byte too many.
  for (size_t offset = 2; offset < size;) {
    size_t end = offset + piece < size ? offset + piece : size;
    size_t length = end - (offset - held);
    uint8_t *bytes = malloc(length);
    memcpy(bytes, data + offset - held, length);
    size_t at = 0, used = 0;
    struct dp_frame frame;
    for (enum dp_frame_state state; (state = dp_frame_read(wire, bytes + at, length - at, &frame, &used)) != DP_FRAME_TORN; at += used) {
      if (state == DP_FRAME_OVERSIZED) {
        dp_ingress_flush(&ingress);
        free(bytes);
        return 0;
      }
      if (used == 0 || used > length - at) abort();
      if (state == DP_FRAME_WHOLE && !frame.control) dp_ingress_take(&ingress, &frame);
    }
    dp_ingress_flush(&ingress);
    held = length - at;
    free(bytes);
    offset = end;
  }
  return 0;
}
