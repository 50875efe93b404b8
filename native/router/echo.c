#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/wire.h"
#include "router.h"

static uint16_t icmp_sum(const uint8_t *packet, uint32_t length) {
  uint32_t message = length - DP_IPV6_HEADER;
  return dp_fold(dp_pseudo_sum(packet, WIRE_ICMPV6, message) + dp_sum(packet + DP_IPV6_HEADER, message));
}

bool router_echo_reply(uint8_t *packet, uint32_t length) {
  uint8_t source[16], *icmp = packet + DP_IPV6_HEADER;
  if (length < DP_IPV6_HEADER + WIRE_ECHO_HEADER_LENGTH || packet[0] >> 4 != 6 || packet[6] != WIRE_ICMPV6) return false;
  if (dp_get16(packet + 4) != length - DP_IPV6_HEADER || icmp[0] != WIRE_ECHO_REQUEST || icmp[1] != 0) return false;
  if (icmp_sum(packet, length) != 0xffff) return false;
  dp_put32(packet, 0x60000000);
  packet[7] = WIRE_HOP_LIMIT;
  memcpy(source, packet + 8, 16);
  memcpy(packet + 8, packet + 24, 16);
  memcpy(packet + 24, source, 16);
  icmp[0] = WIRE_ECHO_REPLY;
  dp_put16(icmp + 2, 0);
  dp_put_sum(icmp + 2, (uint16_t)~icmp_sum(packet, length));
  return true;
}
