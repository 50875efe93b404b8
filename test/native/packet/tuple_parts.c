// What rules look at in a packet: each in memory of exactly its size, and cut at each length. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/packet/packet.h"
#include "../../../native/packet/tuple.h"
#include "../../../native/packet/wire.h"
#include "../check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, TCP = 20 };

struct packet {
  uint8_t bytes[MOST];
  uint32_t length;
};

static struct packet begin(uint8_t next) {
  struct packet packet = {.bytes = {0x60, [6] = next, [7] = 64, [8] = 0xfd, [23] = 1, [24] = 0xfd, [39] = 2}, .length = 40};
  return packet;
}

static void append(struct packet *packet, const uint8_t *bytes, uint32_t length) {
  memcpy(packet->bytes + packet->length, bytes, length);
  packet->length += length;
}

static const uint8_t SEGMENT[TCP] = {0, 22, 0x1f, 0x90, [12] = 0x50, [13] = DP_SYN};
static const uint8_t DATAGRAM[8] = {0, 53, 0x30, 0x39};
static const uint8_t ECHO[8] = {128, 0, 0, 0, 0x12, 0x34};

static bool read(const struct packet *packet, struct dp_tuple *tuple) {
  uint8_t *bytes = malloc(packet->length);
  memcpy(bytes, packet->bytes, packet->length);
  bool good = dp_tuple_read(bytes, packet->length, tuple);
  free(bytes);
  return good;
}

// Every shorter packet is malformed: the header is what it takes to tell.
static void is_needed_whole(struct packet packet, uint32_t least) {
  struct dp_tuple tuple;
  for (packet.length = 40; packet.length < least; packet.length++) CHECK(!read(&packet, &tuple));
  packet.length = least;
  CHECK(read(&packet, &tuple));
}

static void headers_are_found(void) {
  struct dp_tuple tuple;
  struct packet tcp = begin(DP_TCP), udp = begin(DP_UDP), echo = begin(WIRE_ICMPV6), other = begin(132);
  append(&tcp, SEGMENT, sizeof SEGMENT);
  append(&udp, DATAGRAM, sizeof DATAGRAM);
  append(&echo, ECHO, sizeof ECHO);
  CHECK(read(&tcp, &tuple) && !tuple.hidden && tuple.protocol == DP_TCP && tuple.source_port == 22 && tuple.destination_port == 8080);
  CHECK(tuple.flags == DP_SYN && !tuple.fragment);
  CHECK(read(&udp, &tuple) && tuple.protocol == DP_UDP && tuple.source_port == 53 && tuple.destination_port == 12345);
  CHECK(read(&echo, &tuple) && tuple.type == 128 && tuple.source_port == 0x1234 && tuple.destination_port == 0x1234);
  CHECK(read(&other, &tuple) && tuple.protocol == 132 && tuple.destination_port == 0);
  is_needed_whole(tcp, 60);
  is_needed_whole(udp, 48);
  is_needed_whole(echo, 48);
  // TCP options that are announced have to be there, and a header has at least its own length.
  tcp.bytes[52] = 0x60;
  CHECK(!read(&tcp, &tuple));
  tcp.bytes[52] = 0x40;
  CHECK(!read(&tcp, &tuple));
}

static void they_are_found_behind_extension_headers(void) {
  static const uint8_t HEADERS[] = {0, 60, 43, 135};
  for (size_t i = 0; i < sizeof HEADERS; i++) {
    struct packet packet = begin(HEADERS[i]);
    struct dp_tuple tuple;
    append(&packet, (uint8_t[16]){60, 0, [8] = DP_TCP}, 16);
    append(&packet, SEGMENT, sizeof SEGMENT);
    CHECK(read(&packet, &tuple) && !tuple.hidden && tuple.protocol == DP_TCP && tuple.destination_port == 8080);
    is_needed_whole(packet, 76);
    packet.bytes[49] = 255;  // an extension header that leaves the packet
    CHECK(!read(&packet, &tuple));
  }
}

static void fragments_hide_all_but_the_first(void) {
  struct dp_tuple tuple;
  struct packet first = begin(44), later, empty = begin(44);
  append(&first, (uint8_t[8]){DP_UDP, 0, 0, 1, 1, 2, 3, 4}, 8);
  append(&first, DATAGRAM, sizeof DATAGRAM);
  CHECK(read(&first, &tuple) && !tuple.hidden && tuple.fragment && tuple.identification == 0x01020304 && tuple.source_port == 53);
  later = first;
  later.bytes[43] = 8 | 1;
  CHECK(read(&later, &tuple) && tuple.hidden && tuple.fragment && tuple.identification == 0x01020304);
  append(&empty, (uint8_t[8]){DP_UDP, 0, 0, 1}, 8);
  CHECK(!read(&empty, &tuple));  // RFC 7112: the first one has all headers
}

static void a_route_elsewhere_hides_it(void) {
  struct dp_tuple tuple;
  struct packet packet = begin(43);
  append(&packet, (uint8_t[8]){DP_TCP, 0, 0, 1}, 8);
  append(&packet, SEGMENT, sizeof SEGMENT);
  CHECK(read(&packet, &tuple) && tuple.hidden);
  packet.bytes[43] = 0;
  CHECK(read(&packet, &tuple) && !tuple.hidden);
}

static bool read_quoted(const struct packet *packet, struct dp_tuple *tuple, uint8_t *last) {
  const uint8_t *source, *destination;
  uint8_t *bytes = malloc(packet->length);
  memcpy(bytes, packet->bytes, packet->length);
  bool good = dp_tuple_quoted(bytes, packet->length, tuple, &source, &destination);
  if (good) *last = (uint8_t)(source[15] << 4 | destination[15]);
  free(bytes);
  return good;
}

static void errors_quote(void) {
  struct dp_tuple tuple;
  uint8_t last;
  struct packet quoted = begin(DP_TCP), error = begin(WIRE_ICMPV6);
  append(&quoted, SEGMENT, sizeof SEGMENT);
  append(&error, (uint8_t[8]){2}, 8);
  append(&error, quoted.bytes, quoted.length);
  CHECK(read_quoted(&error, &tuple, &last) && last == 0x12 && tuple.protocol == DP_TCP && tuple.source_port == 22 && tuple.destination_port == 8080);
  // The ports are enough; everything shorter is not.
  for (error.length = 40; error.length < 92; error.length++) CHECK(!read_quoted(&error, &tuple, &last));
  CHECK(read_quoted(&error, &tuple, &last));
  static const uint8_t WRONG[][2] = {{40, 0}, {40, 5}, {40, 128}, {48, 0x40}, {6, DP_TCP}};
  for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
    struct packet wrong = error;
    wrong.bytes[WRONG[i][0]] = WRONG[i][1];
    CHECK(!read_quoted(&wrong, &tuple, &last));
  }
}

int main(void) {
  headers_are_found();
  they_are_found_behind_extension_headers();
  fragments_hide_all_but_the_first();
  a_route_elsewhere_hides_it();
  errors_quote();
  puts("ok");
  return 0;
}
