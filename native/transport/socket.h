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

// Non-blocking, TCP_NODELAY and bounded buffers. Options that the kernel refuses are skipped.
void dp_socket_prepare(int fd, struct dp_pace *pace);
// Called after the handshakes, when the round-trip time is known. From 2 ms on: BBR, where the kernel has it, and a receive buffer of 640 KB.
void dp_socket_know_path(int fd, struct dp_pace *pace);
// While the socket takes no more: lets about 5 ms of the measured delivery rate wait unsent (4 KB to 128 KB), CoDel's target. Less would
// mean smaller records on a slow link, and more acknowledgements of the peer: half a per cent of the link for 2 ms. Measures every 20 ms.
void dp_socket_adapt_unsent(int fd, struct dp_pace *pace, uint64_t now);
// After `bytes` were received: the receive buffer becomes two and a half times what was in flight, never less. As much again arrives
// while a loss is repaired; more would only fill the path's queue. Measures every 100 ms.
void dp_socket_adapt_receive(int fd, struct dp_pace *pace, size_t bytes, uint64_t now);
// "192.0.2.1 port 443", at most `size` bytes with the NUL.
void dp_socket_peer(int fd, char *text, size_t size);
