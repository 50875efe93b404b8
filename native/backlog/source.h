// What a connection is counted by: its source, and the wider prefixes that a party with many sources has them from.
#pragma once
#include <endian.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BACKLOG_PREFIXES = 4 };

// A source is an IPv4 address, as a number, or the /64 of an IPv6 address, of which one party easily has many addresses.
static inline uint64_t backlog_source(const struct in6_addr *address) {
  // No IPv6 address that is in use begins with 32 zero bits, except IPv4-mapped ones.
  uint32_t v4;
  uint64_t prefix;
  if (IN6_IS_ADDR_V4MAPPED(address)) {
    memcpy(&v4, address->s6_addr + 12, sizeof v4);
    return be32toh(v4);
  }
  memcpy(&prefix, address->s6_addr, sizeof prefix);
  // ::1 and its like: not the source of 0.0.0.0.
  return prefix == 0 ? UINT64_MAX : be64toh(prefix);
}

static inline bool backlog_source_is_v4(uint64_t source) { return source <= UINT32_MAX; }

// The lengths of the prefixes that a source is counted by, widest first; the last is the source itself.
static inline unsigned backlog_source_lengths(uint64_t source, const uint8_t **lengths) {
  static const uint8_t v4[] = {24, 32}, v6[BACKLOG_PREFIXES] = {40, 48, 56, 64};
  *lengths = backlog_source_is_v4(source) ? v4 : v6;
  return backlog_source_is_v4(source) ? sizeof v4 : sizeof v6;
}

// The first `length` bits of a source, 1 to 32 or 64.
static inline uint64_t backlog_source_prefix(uint64_t source, unsigned length) {
  return source & (UINT64_MAX << ((backlog_source_is_v4(source) ? 32 : 64) - length));
}
