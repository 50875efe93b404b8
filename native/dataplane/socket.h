// The outer TCP socket: how much may wait in it, unsent and unread. A tunnel whose socket buffers megabytes adds seconds to every
// packet behind them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dp_pace {
  int unsent;            // TCP_NOTSENT_LOWAT in force, bytes
  int receive_buffer;    // SO_RCVBUF asked for; 0: the kernel may tune it itself
  bool far;              // a path of 2 ms or more
  uint64_t rate;         // bytes per second lately delivered at best, or paced
  uint64_t adapted;      // when TCP_NOTSENT_LOWAT was last looked at
  uint64_t measured;     // since when `received` counts
  uint64_t received;     // bytes since then
};

// Non-blocking, TCP_NODELAY and bounded buffers. Options that are refused are done without.
void dp_socket_prepare(int fd, struct dp_pace *pace);
// Once the handshakes have shown how far the peer is, for a path of 2 ms or more: BBR, where the kernel lists it, and 640 KB to receive in.
void dp_socket_know_path(int fd, struct dp_pace *pace);
// While the socket takes no more: lets about 5 ms of the measured delivery rate wait unsent (4 KB to 128 KB), CoDel's target. Less makes
// small records of a slow link, and more acknowledgements from the far end: a half per cent of the link for 2 ms. Looks every 20 ms.
void dp_socket_adapt_unsent(int fd, struct dp_pace *pace, uint64_t now);
// After `bytes` were received: the receive buffer becomes two and a half times what was in flight, never less. As much again arrives
// while a loss is mended; what is more would only fill the path's own queue. Looks every 100 ms.
void dp_socket_adapt_receive(int fd, struct dp_pace *pace, size_t bytes, uint64_t now);
// "192.0.2.1 port 443", at most `size` bytes with the NUL.
void dp_socket_peer(int fd, char *text, size_t size);
