#include "packet.h"
#include "bytes.h"
#include "checksum.h"
#include "wire.h"
#include <string.h>

static enum dp_verdict judge(const struct dp_filter *filter, const uint8_t *packet, uint32_t length, size_t address) {
  if (length >= DP_IPV6_HEADER && packet[0] >> 4 == 6) {
    if (dp_get16(packet + 4) != length - DP_IPV6_HEADER) return DP_MALFORMED;
    return filter->any || dp_is_own(filter, packet + address) ? DP_PASS : DP_FOREIGN;
  }
  if (length >= DP_IPV4_HEADER && packet[0] >> 4 == 4) {
    uint32_t header = 4u * (packet[0] & 15);
    if (header < DP_IPV4_HEADER || header > length || dp_get16(packet + 2) != length) return DP_MALFORMED;
    return filter->ipv4 ? DP_PASS : DP_FOREIGN;
  }
  return DP_MALFORMED;
}

enum dp_verdict dp_egress(const struct dp_filter *filter, const uint8_t *packet, uint32_t length) {
  return judge(filter, packet, length, 8);
}

// ::/96 with the unspecified, the loopback and the IPv4-compatible addresses; ::ffff:0:0/96; fe80::/10; ff00::/8.
static bool is_no_source6(const uint8_t *address) {
  static const uint8_t zero[10];
  uint16_t sixth = dp_get16(address + 10);
  if (memcmp(address, zero, sizeof zero) == 0 && (sixth == 0 || sixth == 0xffff)) return true;
  return (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) || address[0] == 0xff;
}

// 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, and 224.0.0.0/3 with the broadcast address.
static bool is_no_source4(const uint8_t *address) {
  return address[0] == 0 || address[0] == 127 || (address[0] == 169 && address[1] == 254) || address[0] >= 224;
}

uint32_t dp_chain_end(const uint8_t *packet, uint32_t length, struct dp_chain *chain) {
  uint32_t at = DP_IPV6_HEADER;
  *chain = (struct dp_chain){.type = packet[6]};
  while (at <= length) {
    uint32_t unit = 8;
    switch (chain->type) {
      case 0: case 60: case 135: case 139: case 140: break;
      case 43:
        if (length - at >= 4 && packet[at + 3] != 0) chain->routed = true;
        break;
      case 51: unit = 4; break;
      case 44:
        if (length - at < 8) return 0;
        chain->fragment = true;
        chain->identification = dp_get32(packet + at + 4);
        if ((dp_get16(packet + at + 2) & 0xfff8) != 0) {
          chain->later = true;
          return at;
        }
        chain->type = packet[at];
        at += 8;
        continue;
      default: return at;
    }
    if (length - at < 2) return 0;
    chain->type = packet[at];
    at += unit == 4 ? 4u * (packet[at + 1] + 2u) : 8u * (packet[at + 1] + 1u);
  }
  return 0;
}

// The ICMPv6 type, 0 for all else; DP_FOREIGN for neighbour and router discovery (133 to 137), which never leaves a link.
static enum dp_verdict check_type(const uint8_t *packet, uint32_t length, uint8_t *type) {
  struct dp_chain chain;
  uint32_t at = dp_chain_end(packet, length, &chain);
  if (at == 0) return DP_MALFORMED;
  *type = chain.type == WIRE_ICMPV6 && at < length ? packet[at] : 0;
  return *type >= 133 && *type <= 137 ? DP_FOREIGN : DP_PASS;
}

enum dp_verdict dp_origin(const uint8_t *packet, uint32_t length) {
  uint8_t type;
  enum dp_verdict verdict = check_type(packet, length, &type);
  return verdict == DP_PASS && is_no_source6(packet + 8) ? DP_FOREIGN : verdict;
}

// Nothing behind the tunnel is on this host's link. From the router's own address only echo replies pass.
static enum dp_verdict check_source(const struct dp_filter *filter, const uint8_t *packet, uint32_t length) {
  if (packet[0] >> 4 == 4) return is_no_source4(packet + 12) || packet[16] == 127 ? DP_FOREIGN : DP_PASS;
  uint8_t type;
  enum dp_verdict verdict = check_type(packet, length, &type);
  if (verdict != DP_PASS) return verdict;
  if (dp_is_own(filter, packet + 8)) return DP_FOREIGN;
  if (memcmp(packet + 8, WIRE_ROUTER_ADDRESS, 16) == 0 && type == WIRE_ECHO_REPLY) return DP_PASS;
  return is_no_source6(packet + 8) ? DP_FOREIGN : DP_PASS;
}

enum dp_verdict dp_ingress(const struct dp_filter *filter, const uint8_t *packet, uint32_t length) {
  enum dp_verdict verdict = judge(filter, packet, length, 24);
  return verdict == DP_PASS && !filter->any ? check_source(filter, packet, length) : verdict;
}

bool dp_is_local(const uint8_t *packet, uint32_t length) {
  static const uint8_t unspecified[16], routers[16] = {0xff, 2, [15] = 2}, dhcp[16] = {0xff, 2, [13] = 1, [15] = 2};
  if (length < DP_IPV6_HEADER || packet[0] >> 4 != 6 || dp_get16(packet + 4) != length - DP_IPV6_HEADER) return false;
  const uint8_t *source = packet + 8, *destination = packet + 24;
  if ((source[0] != 0xfe || (source[1] & 0xc0) != 0x80) && memcmp(source, unspecified, 16) != 0) return false;
  return memcmp(destination, WIRE_ROUTER_ADDRESS, 16) == 0 || memcmp(destination, routers, 16) == 0 || memcmp(destination, dhcp, 16) == 0;
}

bool dp_headers_at(const uint8_t *packet, uint32_t length, uint32_t transport, uint8_t protocol, struct dp_headers *headers) {
  uint32_t own = DP_UDP_HEADER;
  if (transport > DP_MAX_HEADERS || length < transport + DP_UDP_HEADER) return false;
  if (protocol == DP_TCP) {
    if (length < transport + DP_TCP_HEADER) return false;
    own = 4u * (packet[transport + 12] >> 4);
    if (own < DP_TCP_HEADER || length < transport + own) return false;
  } else if (protocol != DP_UDP) {
    return false;
  }
  if (transport + own > DP_MAX_HEADERS) return false;
  *headers = (struct dp_headers){.version = packet[0] >> 4,
                                 .protocol = protocol,
                                 .transport = (uint16_t)transport,
                                 .length = (uint16_t)(transport + own)};
  return true;
}

bool dp_find_headers(const uint8_t *packet, uint32_t length, struct dp_headers *headers) {
  if (length >= DP_IPV6_HEADER && packet[0] >> 4 == 6)
    return dp_get16(packet + 4) == length - DP_IPV6_HEADER &&
           dp_headers_at(packet, length, DP_IPV6_HEADER, packet[6], headers);
  // The header's length and version in one byte; neither "more fragments" nor a fragment's offset.
  if (length >= DP_IPV4_HEADER && packet[0] == 0x45)
    return dp_get16(packet + 2) == length && (dp_get16(packet + 6) & 0x3fff) == 0 &&
           dp_headers_at(packet, length, DP_IPV4_HEADER, packet[9], headers);
  return false;
}

bool dp_mark_congestion(uint8_t *packet, uint32_t length) {
  if (length >= DP_IPV6_HEADER && packet[0] >> 4 == 6) {
    if ((packet[1] & 0x30) == 0) return false;
    packet[1] |= 0x30;
    return true;
  }
  if (length < DP_IPV4_HEADER || packet[0] >> 4 != 4 || (packet[1] & 3) == 0) return false;
  uint32_t header = 4u * (packet[0] & 15);
  if (header < DP_IPV4_HEADER || header > length) return false;
  packet[1] |= 3;
  dp_checksum_ipv4(packet, header);
  return true;
}

static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t length) {
  uint64_t word = 0;
  memcpy(&word, bytes, length);
  return (hash ^ word) * 0x9E3779B97F4A7C15u;
}

uint32_t dp_flow_hash(const uint8_t *packet, uint32_t length) {
  struct dp_headers headers;
  uint64_t hash = 0;
  if (length >= DP_IPV6_HEADER && packet[0] >> 4 == 6) {
    for (int offset = 8; offset < 40; offset += 8) hash = mix(hash, packet + offset, 8);
    hash = mix(hash, packet + 6, 1);
  } else if (length >= DP_IPV4_HEADER) {
    hash = mix(mix(hash, packet + 12, 8), packet + 9, 1);
  }
  if (dp_find_headers(packet, length, &headers)) hash = mix(hash, packet + headers.transport, 4);
  return (uint32_t)(hash >> 32);
}
