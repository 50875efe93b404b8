// The Internet checksum (RFC 1071). Sums are kept in the machine's own byte order: they are folded and stored as they are.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The one's complement sum of `length` bytes, not folded. An odd last byte is padded with a zero.
uint64_t dp_sum(const uint8_t *bytes, size_t length);
// The sum of the pseudo header of the IPv4 or IPv6 packet at `ip`, for a transport message of `length` bytes.
uint64_t dp_pseudo_sum(const uint8_t *ip, uint8_t protocol, uint32_t length);
// 16 bits, not complemented.
uint16_t dp_fold(uint64_t sum);
// Writes a folded sum, or its complement.
static inline void dp_put_sum(uint8_t *at, uint16_t sum) { memcpy(at, &sum, sizeof sum); }
// Recomputes the header checksum of an IPv4 packet whose header has `header` bytes.
void dp_checksum_ipv4(uint8_t *ip, size_t header);
// Completes a checksum field at `start + offset` that holds the pseudo header's sum: covers everything from `start`.
// False, and nothing done, if that lies outside of the packet.
int dp_checksum_complete(uint8_t *packet, size_t length, size_t start, size_t offset);
