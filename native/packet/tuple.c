#include "tuple.h"
#include "bytes.h"
#include "packet.h"
#include "wire.h"

enum { PORTS = 4, ICMP_HEADER = 4, LAST_ERROR = 4 };

static bool is_echo(const struct dp_tuple *tuple) { return tuple->type == WIRE_ECHO_REQUEST || tuple->type == WIRE_ECHO_REPLY; }

// The transport header at `at`. A quoted packet may end behind its ports.
static bool read_transport(const uint8_t *packet, uint32_t length, uint32_t at, bool quoted, struct dp_tuple *tuple) {
  uint32_t left = length - at;
  const uint8_t *header = packet + at;
  switch (tuple->protocol) {
    case DP_TCP:
      if (left < (quoted ? (uint32_t)PORTS : (uint32_t)DP_TCP_HEADER)) return false;
      if (!quoted && (header[12] >> 4 < 5 || left < 4u * (header[12] >> 4))) return false;
      tuple->flags = quoted ? 0 : header[13];
      break;
    case DP_UDP:
      if (left < (quoted ? (uint32_t)PORTS : (uint32_t)DP_UDP_HEADER)) return false;
      break;
    case WIRE_ICMPV6:
      if (left < ICMP_HEADER) return false;
      tuple->type = header[0];
      if (!is_echo(tuple)) return true;
      if (left < WIRE_ECHO_HEADER_LENGTH) return false;
      tuple->source_port = tuple->destination_port = dp_get16(header + 4);
      return true;
    default: return true;
  }
  tuple->source_port = dp_get16(header);
  tuple->destination_port = dp_get16(header + 2);
  return true;
}

// Where the transport header begins; 0 if the chain leaves the packet.
static uint32_t read_chain(const uint8_t *packet, uint32_t length, struct dp_tuple *tuple) {
  struct dp_chain chain;
  uint32_t at = dp_chain_end(packet, length, &chain);
  *tuple = (struct dp_tuple){.hidden = chain.later || chain.routed,
                             .protocol = chain.type,
                             .fragment = chain.fragment,
                             .identification = chain.identification};
  return at;
}

bool dp_tuple_read(const uint8_t *packet, uint32_t length, struct dp_tuple *tuple) {
  uint32_t at = read_chain(packet, length, tuple);
  return at != 0 && (tuple->hidden || read_transport(packet, length, at, false, tuple));
}

bool dp_tuple_quoted(const uint8_t *packet, uint32_t length, struct dp_tuple *tuple, const uint8_t **source, const uint8_t **destination) {
  uint32_t at = read_chain(packet, length, tuple);
  if (at == 0 || tuple->hidden || tuple->protocol != WIRE_ICMPV6 || length - at < WIRE_ECHO_HEADER_LENGTH) return false;
  if (packet[at] == 0 || packet[at] > LAST_ERROR) return false;
  const uint8_t *quoted = packet + at + WIRE_ECHO_HEADER_LENGTH;
  uint32_t left = length - at - WIRE_ECHO_HEADER_LENGTH;
  if (left < DP_IPV6_HEADER || quoted[0] >> 4 != 6) return false;
  *source = quoted + 8;
  *destination = quoted + 24;
  at = read_chain(quoted, left, tuple);
  return at != 0 && !tuple->hidden && read_transport(quoted, left, at, true, tuple);
}
