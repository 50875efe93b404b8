#include "socket.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
  MOST_UNSENT = 128 * 1024,
  LEAST_UNSENT = 4096,
  UNSENT_EVERY_NS = 20000000,
  LEAST_RECEIVE = 256 * 1024,
  FAR_RECEIVE = 640 * 1024,
  MOST_RECEIVE = 32 * 1024 * 1024,
  RECEIVE_EVERY_NS = 100000000,
  FAR_US = 2000,
};

static void set_number(int fd, int level, int option, int value) { (void)setsockopt(fd, level, option, &value, sizeof value); }

static void set_unsent(int fd, struct dp_pace *pace, int bytes) {
  set_number(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
  pace->unsent = bytes;
}

static bool read_info(int fd, struct tcp_info *info) {
  socklen_t length = sizeof *info;
  memset(info, 0, sizeof *info);  // an older kernel fills in less
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) == 0;
}

// The minimum round-trip time: the current one includes the queue, which would so enlarge itself.
static uint64_t round_trip_us(const struct tcp_info *info) {
  return info->tcpi_min_rtt != UINT32_MAX && info->tcpi_min_rtt != 0 ? info->tcpi_min_rtt : info->tcpi_rtt;
}

static void set_receive_buffer(int fd, struct dp_pace *pace, int bytes) {
  // Without the privilege to exceed the system's limit, the kernel's autotuning is better than a fixed buffer.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) return;
  // The kernel has clamped the window to the former buffer and would not lift that by itself.
  if (pace->receive_buffer != 0) set_number(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, bytes);
  pace->receive_buffer = bytes;
}

void dp_socket_prepare(int fd, struct dp_pace *pace) {
  *pace = (struct dp_pace){0};
  (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  set_number(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_unsent(fd, pace, MOST_UNSENT);
  set_receive_buffer(fd, pace, LEAST_RECEIVE);
}

void dp_socket_know_path(int fd, struct dp_pace *pace) {
  static const char bbr[] = "bbr";
  struct tcp_info info;
  // BBR keeps the throughput of a lossy path. It sets a timer for every burst, though: on a fast local path that doubles the CPU time,
  // and a loss is repaired there within a millisecond anyway.
  if (read_info(fd, &info) && round_trip_us(&info) < FAR_US) return;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, bbr, sizeof bbr - 1);
  pace->far = true;
  if (pace->receive_buffer != 0) set_receive_buffer(fd, pace, FAR_RECEIVE);
}

void dp_socket_adapt_unsent(int fd, struct dp_pace *pace, uint64_t now) {
  struct tcp_info info;
  if (now - pace->adapted < UNSENT_EVERY_NS) return;
  pace->adapted = now;
  if (!read_info(fd, &info) || info.tcpi_delivery_rate == 0) return;
  // A sample is low while a loss is repaired, or when there was too little to send, perhaps because of this very limit. Then BBR would
  // not learn how fast the path is, and would fill its queue: until it knows, it paces faster than was delivered.
  pace->rate -= pace->rate / 16;
  if (info.tcpi_delivery_rate > pace->rate) pace->rate = info.tcpi_delivery_rate;
  if (pace->far && info.tcpi_pacing_rate != UINT64_MAX && info.tcpi_pacing_rate > pace->rate) pace->rate = info.tcpi_pacing_rate;
  uint64_t bytes = pace->rate / 200;
  if (bytes > MOST_UNSENT) bytes = MOST_UNSENT;
  int unsent = (int)bytes / LEAST_UNSENT * LEAST_UNSENT;
  if (unsent < LEAST_UNSENT) unsent = LEAST_UNSENT;
  // Every change is a system call; a quarter more or less does not matter.
  if (unsent > pace->unsent / 4 * 5 || unsent < pace->unsent / 4 * 3) set_unsent(fd, pace, unsent);
}

void dp_socket_adapt_receive(int fd, struct dp_pace *pace, size_t bytes, uint64_t now) {
  struct tcp_info info;
  pace->received += bytes;
  if (pace->receive_buffer == 0 || now - pace->measured < RECEIVE_EVERY_NS) return;
  uint64_t elapsed = now - pace->measured, received = pace->received;
  bool fresh = pace->measured == 0;
  pace->measured = now;
  pace->received = 0;
  if (fresh || received == 0 || !read_info(fd, &info)) return;
  uint64_t wanted = received * round_trip_us(&info) * 5 / 2 / (elapsed / 1000);
  if (wanted > MOST_RECEIVE) wanted = MOST_RECEIVE;
  if (wanted < LEAST_RECEIVE) wanted = LEAST_RECEIVE;
  int buffer = (int)wanted;
  if (buffer <= pace->receive_buffer / 4 * 5) return;
  set_receive_buffer(fd, pace, buffer);
}

void dp_socket_peer(int fd, char *text, size_t size) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  char address[INET6_ADDRSTRLEN] = "?";
  unsigned port = 0;
  memset(&peer, 0, sizeof peer);
  if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
    inet_ntop(AF_INET, &v4->sin_addr, address, sizeof address);
    port = ntohs(v4->sin_port);
  } else if (peer.ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
    inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof address);
    port = ntohs(v6->sin6_port);
  }
  snprintf(text, size, "%s port %u", address, port);
}
