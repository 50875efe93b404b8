// IP, TCP and UDP headers: filtering, and which packets can be segmented or joined.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
  DP_IPV4_HEADER = 20,
  DP_IPV6_HEADER = 40,
  DP_TCP_HEADER = 20,
  DP_UDP_HEADER = 8,
  DP_TCP = 6,
  DP_UDP = 17,
  DP_MAX_HEADERS = 256,  // IP with options or extension headers, and TCP with options, in a packet that is to be segmented
};

enum { DP_FIN = 0x01, DP_PSH = 0x08, DP_ACK = 0x10, DP_CWR = 0x80 };  // TCP flags

// Where the transport header lies.
struct dp_headers {
  uint8_t version;   // 4 or 6
  uint8_t protocol;  // DP_TCP or DP_UDP
  uint16_t transport;  // offset of its header
  uint16_t length;     // of all headers together
};

// Which packets belong to this end of the tunnel.
struct dp_filter {
  bool any;  // every well-formed packet may pass
  bool ipv4;
  bool has_prefix;  // also the addresses of `prefix`, a /64, are this end's
  uint8_t own[16], prefix[8];
};

// Whether the address is this end's: its own, or one of its prefix.
static inline bool dp_is_own(const struct dp_filter *filter, const uint8_t *address) {
  return memcmp(address, filter->own, sizeof filter->own) == 0 ||
         (filter->has_prefix && memcmp(address, filter->prefix, sizeof filter->prefix) == 0);
}

enum dp_verdict { DP_PASS, DP_MALFORMED, DP_FOREIGN };

// Out of this device: IPv6 from an address of its own, IPv4 if allowed; the packet's own length field must be its size.
enum dp_verdict dp_egress(const struct dp_filter *filter, const uint8_t *packet, uint32_t length);
// Into this device: IPv6 to an address of its own, IPv4 if allowed; not from a link-local, multicast, loopback, unspecified or such an address,
// and no neighbour or router discovery (ICMPv6 133 to 137, also behind extension headers). With `any` only what is malformed is refused.
enum dp_verdict dp_ingress(const struct dp_filter *filter, const uint8_t *packet, uint32_t length);
// An IPv6 packet that comes from another link: DP_FOREIGN if its source is link-local, multicast, loopback, unspecified or IPv4's, or if it
// is neighbour or router discovery, also behind extension headers; DP_MALFORMED if their chain leaves the packet.
enum dp_verdict dp_origin(const uint8_t *packet, uint32_t length);
// A chain of IPv6 extension headers.
struct dp_chain {
  uint8_t type;             // of the header behind it; of a fragment that is not the first one, the fragment header
  bool fragment, later;     // it has a fragment header; and the packet is not the first fragment
  bool routed;              // a routing header leads to another address than the packet's destination
  uint32_t identification;  // of the fragments
};

// Where the chain ends; 0 if it leaves the packet, whose length is at least 40. The chain of a later fragment ends with its fragment header.
uint32_t dp_chain_end(const uint8_t *packet, uint32_t length, struct dp_chain *chain);
// From a link-local address or ::, to fe80::1, ff02::2 or ff02::1:2: a packet for the LAN server, which is never sent through the tunnel.
bool dp_is_local(const uint8_t *packet, uint32_t length);
// TCP or UDP right behind an IPv6 header or an IPv4 header without options, not fragmented. False for everything else.
bool dp_find_headers(const uint8_t *packet, uint32_t length, struct dp_headers *headers);
// The same if the transport header is known to begin at `transport`, behind whatever options and extension headers.
bool dp_headers_at(const uint8_t *packet, uint32_t length, uint32_t transport, uint8_t protocol, struct dp_headers *headers);
// Offset of the checksum in the transport header.
static inline uint16_t dp_checksum_offset(uint8_t protocol) { return protocol == DP_TCP ? 16 : 6; }
// Sets ECN's congestion-experienced mark; false if the packet is not ECN-capable (RFC 3168).
bool dp_mark_congestion(uint8_t *packet, uint32_t length);
// A number that is the same for all packets of one flow.
uint32_t dp_flow_hash(const uint8_t *packet, uint32_t length);
