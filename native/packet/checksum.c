#include "checksum.h"
#include <arpa/inet.h>

// One build runs on every processor; where the loader can choose a version by processor, there is one for AVX2, too. (Not under the
// sanitizers: the loader chooses before they have started.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

typedef uint64_t lanes __attribute__((vector_size(32)));

// Blocks of 32 bytes. Even and odd words are added separately, so that neither sum overflows.
WIDE static uint64_t sum_blocks(const uint8_t *bytes, size_t blocks) {
  lanes even = {0}, odd = {0};
  for (size_t i = 0; i < blocks; i++) {
    lanes words;
    memcpy(&words, bytes + 32 * i, sizeof words);
    even += words & 0xffffffff;
    odd += words >> 32;
  }
  even += odd;
  return even[0] + even[1] + even[2] + even[3];
}

uint64_t dp_sum(const uint8_t *bytes, size_t length) {
  uint64_t sum = sum_blocks(bytes, length / 32);
  bytes += length / 32 * 32;
  for (length %= 32; length >= 4; length -= 4, bytes += 4) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    sum += word;
  }
  if (length > 0) {
    uint8_t last[4] = {0, 0, 0, 0};
    uint32_t word;
    memcpy(last, bytes, length);
    memcpy(&word, last, sizeof word);
    sum += word;
  }
  return sum;
}

uint64_t dp_pseudo_sum(const uint8_t *ip, uint8_t protocol, uint32_t length) {
  uint64_t addresses = ip[0] >> 4 == 6 ? dp_sum(ip + 8, 32) : dp_sum(ip + 12, 8);
  return addresses + htonl(length) + htons(protocol);
}

uint16_t dp_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void dp_checksum_ipv4(uint8_t *ip, size_t header) {
  memset(ip + 10, 0, 2);
  dp_put_sum(ip + 10, (uint16_t)~dp_fold(dp_sum(ip, header)));
}

int dp_checksum_complete(uint8_t *packet, size_t length, size_t start, size_t offset) {
  if (start > length || offset + 2 > length - start) return 0;
  uint16_t checksum = (uint16_t)~dp_fold(dp_sum(packet + start, length - start));
  // In UDP 0 means "none"; in TCP and ICMP 0xffff and 0 are the same number.
  if (checksum == 0) checksum = 0xffff;
  dp_put_sum(packet + start + offset, checksum);
  return 1;
}
