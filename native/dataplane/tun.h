// A TUN device with virtio headers: the kernel gives and takes packets of up to 64 KB, which are segmented later, and partial checksums.
// Where it refuses that, plain packets.
#pragma once
#include "packet/counters.h"
#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum dp_offload {
  DP_OFFLOAD_NONE,  // plain packets, no virtio header
  DP_OFFLOAD_TCP,   // TCP segmentation and checksums
  DP_OFFLOAD_UDP,   // UDP segmentation, too (Linux 6.2)
};

// struct virtio_net_hdr, in the machine's byte order.
struct dp_virtio {
  uint8_t flags;  // DP_NEEDS_CHECKSUM
  uint8_t gso;    // enum dp_gso, perhaps with DP_GSO_ECN
  uint16_t header_length, segment, checksum_start, checksum_offset;
};
enum { DP_NEEDS_CHECKSUM = 1, DP_GSO_ECN = 0x80 };

struct dp_tun {
  int fd;
  enum dp_offload offload;
  struct dp_counters *counters;
};

// Opens or creates the device `name`, which becomes the kernel's name for it, with as much offload as there is, at most `most`.
// With `queues` it may have further ones. Returns a non-blocking descriptor or a negative errno; `*doing` names the step that failed.
int dp_tun_open(char name[IFNAMSIZ], enum dp_offload most, bool queues, enum dp_offload *offload, const char **doing);
// A further queue of the device that `fd` is the first of. The kernel gives the packets of a flow to the queue that packets of the
// opposite direction were last written to. Negative if there can be none.
int dp_tun_queue(int fd);
// Reads one packet: its length, 0 if there is none now, or a negative errno if the device was removed.
ssize_t dp_tun_read(struct dp_tun *tun, struct dp_virtio *virtio, uint8_t *packet, size_t capacity);
// Writes one packet from parts[1] to parts[count - 1]; parts[0] is made to hold the virtio header. The kernel's refusal is counted.
bool dp_tun_write(struct dp_tun *tun, const struct dp_virtio *virtio, struct iovec *parts, int count);
