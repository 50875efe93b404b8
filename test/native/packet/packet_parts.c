// What may enter a device, and what another link may have sent: packets cut at each length, each in memory of exactly its size. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/packet.h"
#include "../check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dp_filter FILTER = {.ipv4 = true, .own = {0xfd, [15] = 7}};

// The verdict on `length` bytes: the IPv6 packet with this next header and `chain` behind it.
static enum dp_verdict verdict(uint8_t next, const uint8_t *chain, uint32_t length, bool any) {
  struct dp_filter filter = FILTER;
  uint8_t *packet = calloc(1, 40 + length);
  filter.any = any;
  packet[0] = 0x60;
  packet[4] = (uint8_t)(length >> 8), packet[5] = (uint8_t)length;
  packet[6] = next, packet[7] = 255;
  packet[8] = 0xfd, packet[23] = 9;
  memcpy(packet + 24, FILTER.own, 16);
  memcpy(packet + 40, chain, length);
  enum dp_verdict found = dp_ingress(&filter, packet, 40 + length), origin = dp_origin(packet, 40 + length);
  // The rules on sources and types are the same.
  CHECK(any || origin == found);
  free(packet);
  return found;
}

// Of a /64 every address is the device's, as its own is: as a source, and as a destination; nothing comes from there to it.
static void a_prefix_is_the_devices(void) {
  struct dp_filter filter = FILTER;
  uint8_t packet[40] = {0x60, [6] = 59, [7] = 64};
  static const uint8_t prefix[8] = {0xfd, 0, 0, 8}, other[8] = {0xfd, 0, 0, 9};
  memcpy(filter.prefix, prefix, sizeof prefix);
  for (int last = 0; last < 256; last += 17) {
    packet[23] = packet[16] = (uint8_t)last;
    for (int has = 0; has < 2; has++) {
      filter.has_prefix = has == 1;
      memcpy(packet + 8, prefix, sizeof prefix);
      memset(packet + 24, 0, 16), packet[24] = 0x20;
      CHECK(dp_egress(&filter, packet, sizeof packet) == (has ? DP_PASS : DP_FOREIGN));
      memcpy(packet + 8, other, sizeof other);
      CHECK(dp_egress(&filter, packet, sizeof packet) == DP_FOREIGN);
      memset(packet + 8, 0, 8), packet[8] = 0x20;
      memcpy(packet + 24, prefix, sizeof prefix), packet[39] = (uint8_t)last;
      CHECK(dp_ingress(&filter, packet, sizeof packet) == (has ? DP_PASS : DP_FOREIGN));
      memcpy(packet + 24, FILTER.own, 16);
      CHECK(dp_ingress(&filter, packet, sizeof packet) == DP_PASS);
      memcpy(packet + 8, prefix, sizeof prefix);
      CHECK(dp_ingress(&filter, packet, sizeof packet) == (has ? DP_FOREIGN : DP_PASS));
    }
  }
}

static void chains_may_end_anywhere(void) {
  static const uint8_t HEADERS[] = {0, 43, 44, 51, 60, 135, 139, 140, 58};
  for (size_t first = 0; first < sizeof HEADERS; first++) {
    for (size_t second = 0; second < sizeof HEADERS; second++) {
      for (int words = 0; words < 256; words += 51) {
        uint8_t chain[64] = {HEADERS[second], (uint8_t)words, [8] = 58, [16] = 134};
        for (uint32_t length = 0; length <= sizeof chain; length++) (void)verdict(HEADERS[first], chain, length, false);
      }
    }
  }
}

static void discovery_is_found_behind_a_long_chain(void) {
  uint8_t chain[1400] = {0};
  uint32_t length = 0;
  for (; length < 1300; length += 8) chain[length] = 60;
  chain[length - 8] = 58;
  chain[length] = 134;
  CHECK(verdict(60, chain, length + 8, false) == DP_FOREIGN);
  CHECK(verdict(60, chain, length + 8, true) == DP_PASS);
  chain[length] = 128;
  CHECK(verdict(60, chain, length + 8, false) == DP_PASS);
}

static void only_some_sources_are_of_another_link(void) {
  static const struct {
    uint8_t source[16];
    bool passes;
  } CASES[] = {
      {{0xfd, [15] = 9}, true}, {{0x20, 1, 0xd, 0xb8, [15] = 1}, true}, {{[15] = 0}, false}, {{[15] = 1}, false},
      {{[12] = 127, [15] = 1}, false}, {{[10] = 0xff, 0xff, 127, [15] = 1}, false}, {{[9] = 1, [15] = 1}, true},
      {{0xfe, 0x80, [15] = 1}, false}, {{0xfe, 0xbf, [15] = 1}, false}, {{0xfe, 0xc0, [15] = 1}, true},
      {{0xff, 2, [15] = 1}, false}, {{0xff, 0xe, [15] = 1}, false},
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    for (uint8_t type = 128; type <= 129; type++) {
      uint8_t packet[48] = {0x60, [5] = 8, 58, 255, [40] = type};
      memcpy(packet + 8, CASES[i].source, 16);
      CHECK(dp_origin(packet, sizeof packet) == (CASES[i].passes ? DP_PASS : DP_FOREIGN));
    }
  }
}

int main(void) {
  only_some_sources_are_of_another_link();
  a_prefix_is_the_devices();
  chains_may_end_anywhere();
  discovery_is_found_behind_a_long_chain();
  puts("ok");
  return 0;
}
