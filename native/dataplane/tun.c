#include "tun.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4  // older kernel headers
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

_Static_assert(sizeof(struct dp_virtio) == 10, "the kernel's struct virtio_net_hdr has 10 bytes");

static int attach(const char *name, short flags, char attached[IFNAMSIZ], const char **doing) {
  *doing = "opening /dev/net/tun";
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | flags)};
  memcpy(request.ifr_name, name, IFNAMSIZ);
  *doing = "attaching to the TUN device";
  if (ioctl(fd, TUNSETIFF, &request) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  memcpy(attached, request.ifr_name, IFNAMSIZ);
  return fd;
}

static bool offer(int fd, enum dp_offload offload) {
  int header = sizeof(struct dp_virtio);
  unsigned features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (offload == DP_OFFLOAD_UDP) features |= TUN_F_USO4 | TUN_F_USO6;
  return ioctl(fd, TUNSETVNETHDRSZ, &header) == 0 && ioctl(fd, TUNSETOFFLOAD, features) == 0;
}

int dp_tun_open(char name[IFNAMSIZ], enum dp_offload most, bool queues, enum dp_offload *offload, const char **doing) {
  char wanted[IFNAMSIZ];
  short more = queues ? IFF_MULTI_QUEUE : 0;
  memcpy(wanted, name, IFNAMSIZ);
  if (most != DP_OFFLOAD_NONE) {
    int fd = attach(wanted, IFF_VNET_HDR | more, name, doing);
    for (*offload = most; fd >= 0 && *offload != DP_OFFLOAD_NONE; --*offload)
      if (offer(fd, *offload)) return fd;
    if (fd >= 0) close(fd);
    else if (fd != -EINVAL) return fd;
  }
  *offload = DP_OFFLOAD_NONE;
  int fd = attach(wanted, more, name, doing);
  // A persistent device that was made for one queue stays so.
  if (fd == -EINVAL && queues) return dp_tun_open(name, most, false, offload, doing);
  // A persistent device may still have the offload of its last user; without virtio headers such packets could not be recognised.
  if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, 0) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int dp_tun_queue(int fd) {
  struct ifreq request = {0};
  char name[IFNAMSIZ];
  const char *doing;
  if (ioctl(fd, TUNGETIFF, &request) < 0 || (request.ifr_flags & IFF_MULTI_QUEUE) == 0) return -1;
  // Header size and offload are the device's.
  return attach(request.ifr_name, (short)(request.ifr_flags & (IFF_VNET_HDR | IFF_MULTI_QUEUE)), name, &doing);
}

ssize_t dp_tun_read(struct dp_tun *tun, struct dp_virtio *virtio, uint8_t *packet, size_t capacity) {
  struct iovec parts[2] = {{virtio, sizeof *virtio}, {packet, capacity}};
  bool plain = tun->offload == DP_OFFLOAD_NONE;
  ssize_t header = plain ? 0 : (ssize_t)sizeof *virtio;
  for (;;) {
    ssize_t got = plain ? read(tun->fd, packet, capacity) : readv(tun->fd, parts, 2);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? 0 : -errno;
    if (got == 0) return -EBADFD;  // a socket that replaces the TUN in tests was closed at its other end
    dp_add(&tun->counters->tun_reads, 1);
    if (got <= header) continue;
    if (plain) *virtio = (struct dp_virtio){0};
    return got - header;
  }
}

bool dp_tun_write(struct dp_tun *tun, const struct dp_virtio *virtio, struct iovec *parts, int count) {
  ssize_t put;
  parts[0] = (struct iovec){(void *)virtio, sizeof *virtio};
  do put = tun->offload == DP_OFFLOAD_NONE ? writev(tun->fd, parts + 1, count - 1) : writev(tun->fd, parts, count);
  while (put < 0 && errno == EINTR);
  dp_add(&tun->counters->tun_writes, 1);
  // EIO: the interface is down; EINVAL: not what the kernel takes for a packet; EAGAIN, ENOBUFS: no room. IP copes with loss.
  if (put < 0) dp_add(&tun->counters->in_refused, 1);
  return put >= 0;
}
