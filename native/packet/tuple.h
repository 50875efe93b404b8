// What rules look at in an IPv6 packet: its protocol and its ports, behind whatever extension headers. Linear in the packet.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { DP_SYN = 0x02, DP_RST = 0x04 };  // TCP flags beside those of packet.h

struct dp_tuple {
  // Nothing of what follows is known: of a fragment that is not the first one, or if a routing header leads elsewhere.
  bool hidden;
  uint8_t protocol;  // the header behind the extension headers
  uint8_t type;      // ICMPv6's
  uint8_t flags;     // TCP's
  // TCP and UDP; of an echo request or reply the identifier is both.
  uint16_t source_port, destination_port;
  bool fragment;            // the packet is a part of another one, also if it is the first
  uint32_t identification;  // of that
};

// `length` is at least 40 and the packet's own. False if the extension headers leave the packet, or it ends within its transport header.
bool dp_tuple_read(const uint8_t *packet, uint32_t length, struct dp_tuple *tuple);
// The packet that an ICMPv6 error (type 1 to 4) is about, as far as it is quoted: its tuple and addresses. False if that cannot be told.
bool dp_tuple_quoted(const uint8_t *packet, uint32_t length, struct dp_tuple *tuple, const uint8_t **source, const uint8_t **destination);
