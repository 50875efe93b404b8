// The parts of the router that need no network: gate, ring, map, networks and echo. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/router/router.h"
#include "../check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000000 };

// node's OpenSSL is not here.
int RAND_bytes(unsigned char *bytes, int length) {
  for (int i = 0; i < length; i++) bytes[i] = (unsigned char)rand();
  return 1;
}

static struct router_ratelimit gate_of(uint32_t sources) {
  struct router_ratelimit ratelimit;
  struct router_ratelimit_limits limits = {
      .pending = 5, .pending_per_source = 3, .refusal_burst = 4, .refusals_per_second = 2, .sources = sources};
  CHECK(router_ratelimit_init(&ratelimit, &limits));
  return ratelimit;
}

static void gate_bounds_handshakes(void) {
  struct router_ratelimit ratelimit = gate_of(100);
  for (int i = 0; i < 3; i++) CHECK(router_ratelimit_acquire(&ratelimit, 1, 0));
  CHECK(!router_ratelimit_acquire(&ratelimit, 1, 0));
  for (int i = 0; i < 2; i++) CHECK(router_ratelimit_acquire(&ratelimit, 2, 0));
  CHECK(!router_ratelimit_acquire(&ratelimit, 2, 0));
  CHECK(ratelimit.pending == 5);
  router_ratelimit_release(&ratelimit, 1, false, 0);
  CHECK(router_ratelimit_acquire(&ratelimit, 2, 0));
  CHECK(!router_ratelimit_acquire(&ratelimit, 3, 0));
  router_ratelimit_free(&ratelimit);
}

static bool attempt(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  bool open = router_ratelimit_acquire(ratelimit, source, now);
  if (open) router_ratelimit_release(ratelimit, source, true, now);
  return open;
}

static void gate_shuts_out_and_forgives(void) {
  struct router_ratelimit ratelimit = gate_of(100);
  uint64_t now = SECOND;
  for (int i = 0; i < 4; i++) CHECK(attempt(&ratelimit, 1, now));
  CHECK(!attempt(&ratelimit, 1, now));
  CHECK(attempt(&ratelimit, 2, now));
  now += SECOND / 2 - 1000000;
  CHECK(!attempt(&ratelimit, 1, now));
  now += 1000001;
  CHECK(attempt(&ratelimit, 1, now));
  CHECK(!attempt(&ratelimit, 1, now));
  now += 3600ull * SECOND;
  for (int i = 0; i < 4; i++) CHECK(attempt(&ratelimit, 1, now));
  CHECK(!attempt(&ratelimit, 1, now));
  CHECK(ratelimit.pending == 0);
  router_ratelimit_free(&ratelimit);
}

static void gate_remembers_a_bounded_number(void) {
  struct router_ratelimit ratelimit = gate_of(10);
  for (int i = 0; i < 4; i++) CHECK(attempt(&ratelimit, 1, 0));
  for (uint64_t source = 100; source < 109; source++) CHECK(attempt(&ratelimit, source, 0));
  CHECK(!attempt(&ratelimit, 1, 0));
  for (uint64_t source = 109; source < 112; source++) CHECK(attempt(&ratelimit, source, 0));
  CHECK(ratelimit.count <= 10);
  CHECK(attempt(&ratelimit, 1, 0));  // forgotten
  router_ratelimit_free(&ratelimit);
}

// Its place is given back even if its account was forgotten meanwhile.
static void gate_keeps_its_count(void) {
  struct router_ratelimit ratelimit = gate_of(1);
  CHECK(router_ratelimit_acquire(&ratelimit, 1, 0));
  for (uint64_t source = 100; source < 170; source++) attempt(&ratelimit, source, 0);
  router_ratelimit_release(&ratelimit, 1, false, 0);
  CHECK(ratelimit.pending == 0);
  router_ratelimit_free(&ratelimit);
}

// One /64 is not let in again; of a /56 four times as many are refused, and then all of it is shut; likewise a /48, a /40, an IPv4 /24.
static uint64_t refused_until_shut(uint64_t first, uint64_t step, uint64_t elsewhere) {
  struct router_ratelimit ratelimit;
  struct router_ratelimit_limits limits = {
      .pending = 5, .pending_per_source = 3, .refusal_burst = 4, .refusals_per_second = 1, .sources = 100};
  uint64_t refused = 0;
  CHECK(router_ratelimit_init(&ratelimit, &limits));
  while (refused < 10000 && attempt(&ratelimit, first + refused * step, SECOND)) refused++;
  CHECK(attempt(&ratelimit, elsewhere, SECOND));
  CHECK(!router_ratelimit_shut(&ratelimit, elsewhere, SECOND));
  CHECK(router_ratelimit_shut(&ratelimit, first + refused * step, SECOND));
  CHECK(!router_ratelimit_shut(&ratelimit, first + refused * step, 2ull * SECOND));
  router_ratelimit_free(&ratelimit);
  return refused;
}

static void gate_shuts_prefixes_out(void) {
  CHECK(refused_until_shut(0x20010db801020300, 1, 0x20010db801020400) == 16);
  CHECK(refused_until_shut(0x20010db801020000, 0x100, 0x20010db801030000) == 64);
  CHECK(refused_until_shut(0x20010db801000000, 0x8000, 0x20010db802000000) == 256);
  CHECK(refused_until_shut(0xc0000200, 1, 0xc0000300) == 64);
}

static uint64_t source_of(const char *text) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) return router_ratelimit_source((struct sockaddr *)&v4);
  CHECK(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
  return router_ratelimit_source((struct sockaddr *)&v6);
}

static void sources_are_told_apart(void) {
  CHECK(source_of("192.0.2.1") == source_of("::ffff:192.0.2.1"));
  CHECK(source_of("192.0.2.1") != source_of("192.0.2.2"));
  CHECK(source_of("2001:db8:1:2::1") == source_of("2001:db8:1:2:ffff::9"));
  CHECK(source_of("2001:db8:1:2::1") != source_of("2001:db8:1:3::1"));
  CHECK(source_of("2001:db8::1") != source_of("32.1.13.184"));
  CHECK(source_of("::1") != source_of("0.0.0.0"));
}

static void map_finds_what_it_was_given(void) {
  enum { MANY = 5000 };
  struct router_addresstable map;
  struct router_addresstable_entry *entries = calloc(MANY, sizeof *entries);
  CHECK(router_addresstable_init(&map) && entries != NULL);
  for (uint32_t i = 0; i < MANY; i++) {
    dp_put32(entries[i].address + 12, i);
    CHECK(router_addresstable_find(&map, entries[i].address) == NULL);
    router_addresstable_add(&map, &entries[i]);
  }
  for (uint32_t i = 0; i < MANY; i++) CHECK(router_addresstable_find(&map, entries[i].address) == &entries[i]);
  for (uint32_t i = 0; i < MANY; i += 2) router_addresstable_remove(&map, &entries[i]);
  for (uint32_t i = 0; i < MANY; i++) CHECK((router_addresstable_find(&map, entries[i].address) != NULL) == (i % 2 == 1));
  uint32_t taken = 0;
  while (router_addresstable_take(&map) != NULL) taken++;
  CHECK(taken == MANY / 2 && map.count == 0);
  router_addresstable_free(&map);
  free(entries);
}

static void ring_refuses_what_does_not_fit(void) {
  struct router_ring ring;
  uint32_t length, tag, put = 0, got = 0;
  CHECK(router_ring_init(&ring) && router_ring_empty(&ring));
  CHECK(router_ring_reserve(&ring, 128 * 1024 + 1, 0) == NULL);
  for (int round = 0; round < 5; round++) {
    for (uint8_t *room; (room = router_ring_reserve(&ring, 60001, put)) != NULL; put++) {
      memset(room, (int)(put & 255), 60001);
      router_ring_commit(&ring, 60001);
    }
    CHECK(put - got >= 15 && put - got <= 17);
    for (uint8_t *bytes; (bytes = router_ring_next(&ring, &length, &tag)) != NULL; got++) {
      CHECK(length == 60001 && tag == got && bytes[0] == (got & 255) && bytes[60000] == (got & 255));
      router_ring_release(&ring, length);
    }
    CHECK(got == put && router_ring_empty(&ring));
  }
  router_ring_free(&ring);
}

// A frame of a sender, in a ring from which nobody reads meanwhile; false if it has its share.
static bool put_share(struct router_ring *ring, struct router_ring_use *sender, struct router_ring_use *network, uint32_t length) {
  uint8_t *room = router_ring_reserve_share(ring, sender, network, length, 1);
  if (room == NULL) return false;
  memset(room, 1, length);
  router_ring_commit(ring, length);
  router_ring_count(ring, sender, network, length);
  return true;
}

// One sender, or one network of many, cannot fill the ring: there is room for another sender and for another network.
static void ring_is_shared_out(void) {
  enum { LENGTH = 1272, SENDERS = 50, HALF = ROUTER_RING_BYTES / (LENGTH + 8) };
  struct router_ring ring;
  struct router_ring_use senders[SENDERS] = {0}, networks[3] = {0};
  uint32_t count[SENDERS] = {0}, length, tag;
  CHECK(router_ring_init(&ring));
  for (int round = 0; round < 3; round++) {
    uint32_t alone = 0;
    while (put_share(&ring, &senders[0], &networks[0], LENGTH)) alone++;
    CHECK(alone >= HALF - 1 && alone <= HALF + 1);
    for (int i = 0; i < 200; i++) CHECK(put_share(&ring, &senders[1], &networks[0], LENGTH));
    for (int i = 0; i < 200; i++) CHECK(put_share(&ring, &senders[2], &networks[1], LENGTH));
    while (router_ring_next(&ring, &length, &tag) != NULL) router_ring_release(&ring, length);
  }
  for (int tries = 0; tries < 100; tries++)
    for (int i = 0; i < SENDERS - 1; i++) count[i] += put_share(&ring, &senders[i], &networks[0], LENGTH);
  for (int i = 1; i < SENDERS - 1; i++) CHECK(count[i] >= 16 && count[i] - count[1] + 1 <= 2);
  for (int i = 0; i < 200; i++) CHECK(put_share(&ring, &senders[SENDERS - 1], &networks[2], LENGTH));
  router_ring_free(&ring);
}

// While the reader keeps up a sender has what it wants, and its count follows what is really there.
static void ring_share_follows_the_reader(void) {
  enum { LENGTH = 1272, LAG = 200 };
  struct router_ring ring;
  struct router_ring_use sender = {0}, network = {0};
  uint32_t length, tag;
  CHECK(router_ring_init(&ring));
  for (int i = 0; i < 100000; i++) {
    CHECK(put_share(&ring, &sender, &network, LENGTH));
    CHECK(sender.recent + sender.before <= 2 * (LAG + 2) * (LENGTH + 8));
    if (i < LAG) continue;
    CHECK(router_ring_next(&ring, &length, &tag) != NULL);
    router_ring_release(&ring, length);
  }
  router_ring_free(&ring);
}

enum { RECORDS = 100000 };

static uint32_t length_of(uint32_t i) { return i * 2654435761u % 3000 + (i % 97 == 0 ? 60000 : 1); }

static void *fill_ring(void *argument) {
  struct router_ring *ring = argument;
  for (uint32_t i = 0; i < RECORDS;) {
    uint32_t length = length_of(i);
    uint8_t *room = router_ring_reserve(ring, length, i);
    if (room == NULL) continue;
    memset(room, (int)(i & 255), length);
    router_ring_commit(ring, length);
    i++;
  }
  return NULL;
}

static void ring_joins_two_threads(void) {
  struct router_ring ring;
  pthread_t writer;
  uint32_t length, tag;
  CHECK(router_ring_init(&ring));
  CHECK(pthread_create(&writer, NULL, fill_ring, &ring) == 0);
  for (uint32_t i = 0; i < RECORDS;) {
    uint8_t *bytes = router_ring_next(&ring, &length, &tag);
    if (bytes == NULL) continue;
    CHECK(tag == i && length == length_of(i));
    CHECK(bytes[0] == (i & 255) && bytes[length / 2] == (i & 255) && bytes[length - 1] == (i & 255));
    router_ring_release(&ring, length);
    i++;
  }
  pthread_join(writer, NULL);
  router_ring_free(&ring);
}

static void networks_are_found_by_the_addresses_in_them(void) {
  static const uint8_t prefixes[3][ROUTER_PREFIX] = {{0xfd, 0, 0, 9}, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1}, {0xfd, 0, 0, 1}};
  uint8_t address[16] = {0};
  struct router_networks *networks = router_networks_new(prefixes[0], 3, NULL, 0), *none = router_networks_new(prefixes[0], 0, NULL, 0);
  CHECK(networks != NULL && none != NULL);
  for (uint32_t i = 0; i < 3; i++) {
    memcpy(address, prefixes[i], ROUTER_PREFIX);
    for (int last = 0; last < 256; last += 51) {
      address[15] = address[8] = (uint8_t)last;
      CHECK(router_networks_find(networks, address) == i + 1);
      CHECK(router_networks_find(none, address) == 0);
    }
    address[7] ^= 2;
    CHECK(router_networks_find(networks, address) == 0);
  }
  CHECK(router_networks_keep(networks) == networks && router_networks_keep(NULL) == NULL);
  router_networks_release(networks);
  address[7] ^= 2;
  CHECK(router_networks_find(networks, address) == 3);
  router_networks_release(networks);
  router_networks_release(none);
  router_networks_release(NULL);
}

static void networks_have_devices_but_not_the_host(void) {
  static const uint8_t prefix[ROUTER_PREFIX] = {0xfd, [7] = 9};
  struct router_networks *networks = router_networks_new(prefix, 1, NULL, 0);
  CHECK(networks != NULL);
  uint8_t address[16] = {0xfd, [7] = 9, [15] = 1};
  CHECK(!router_networks_have_device(networks, address));
  for (int i = 8; i < 16; i++) {
    address[i] ^= 2;
    CHECK(router_networks_have_device(networks, address));
    address[7] = 8;
    CHECK(!router_networks_have_device(networks, address));
    address[7] = 9;
    address[i] ^= 2;
  }
  address[15] = 0;
  CHECK(router_networks_have_device(networks, address));
  router_networks_release(networks);
}

// Whatever the order: what is in a pool belongs to a device of its network, also <prefix>::1, and what is around it to nobody.
static void pools_are_of_devices(void) {
  static const uint8_t prefix[ROUTER_PREFIX] = {0xfd, [7] = 9};
  // fd00:0:0:100::/56 of network 7, fd00:0:1::/48 of 8, fd00:0:2:5::/64 of 9.
  static const uint8_t pools[3][ROUTER_POOL] = {{0xfd, 0, 0, 0, 0, 2, 0, 5, 0, 0, 0, 9, 64}, {0xfd, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7, 56},
                                                {0xfd, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 48}};
  static const struct {
    uint8_t group[4];  // bytes 4 to 7 of the address
    uint32_t network;
  } found[] = {{{0, 0, 0, 255}, 0}, {{0, 0, 1, 0}, 7}, {{0, 0, 1, 255}, 7}, {{0, 0, 2, 0}, 0},   {{0, 0, 255, 255}, 0}, {{0, 1, 0, 0}, 8},
               {{0, 1, 9, 9}, 8},   {{0, 1, 255, 255}, 8}, {{0, 2, 0, 4}, 0}, {{0, 2, 0, 5}, 9}, {{0, 2, 0, 6}, 0}};
  struct router_networks *networks = router_networks_new(prefix, 1, pools[0], 3);
  CHECK(networks != NULL);
  for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
    uint8_t address[16] = {0xfd, [15] = 1};
    memcpy(address + 4, found[i].group, 4);
    CHECK(router_networks_find(networks, address) == found[i].network);
    CHECK(router_networks_delegate(networks, address) == (found[i].network != 0));
    CHECK(router_networks_have_device(networks, address) == (found[i].network != 0));
  }
  uint8_t own[16] = {0xfd, [7] = 9, [15] = 1}, before[16] = {0}, behind[16];
  memset(behind, 0xff, sizeof behind);
  CHECK(router_networks_find(networks, own) == 1 && !router_networks_delegate(networks, own) && !router_networks_have_device(networks, own));
  CHECK(!router_networks_delegate(networks, before) && !router_networks_delegate(networks, behind));
  router_networks_release(networks);
}

// docs/wire.md's example.
static void echo_answers_the_heartbeat_only(void) {
  static const uint8_t heartbeat[48] = {0x60, 0,    0,    0,    0,    8,    0x3a, 0xff, 0xe4, 0x85, 0xd8, 0xc8, 0x5f, 0xcc, 0xef, 0x1c,
                                        0x14, 0x07, 0xe6, 0xa4, 0x28, 0xb8, 0x74, 0x9b, 0xfe, 0x80, 0,    0,    0,    0,    0,    0,
                                        0,    0,    0,    0,    0,    0,    0,    1,    0x80, 0,    0x51, 0x61, 0x45, 0x4e, 0x46, 0x54};
  uint8_t packet[48];
  memcpy(packet, heartbeat, sizeof packet);
  CHECK(router_echo_reply(packet, sizeof packet));
  CHECK(packet[40] == 129 && memcmp(packet + 8, heartbeat + 24, 16) == 0 && memcmp(packet + 24, heartbeat + 8, 16) == 0);
  CHECK(dp_get16(packet + 42) == 0x5061 && memcmp(packet + 44, "ENFT", 4) == 0 && packet[7] == 255);
  CHECK(!router_echo_reply(packet, sizeof packet));  // a reply is no request
  for (uint32_t length = 0; length < sizeof packet; length++) {
    uint8_t *shorter = malloc(length + 1);
    memcpy(shorter, heartbeat, length);
    CHECK(!router_echo_reply(shorter, length));
    free(shorter);
  }
  for (uint32_t at = 8; at < sizeof packet; at++) {
    memcpy(packet, heartbeat, sizeof packet);
    packet[at] ^= 1;
    CHECK(!router_echo_reply(packet, sizeof packet));
  }
}

int main(void) {
  gate_bounds_handshakes();
  gate_shuts_out_and_forgives();
  gate_remembers_a_bounded_number();
  gate_keeps_its_count();
  gate_shuts_prefixes_out();
  sources_are_told_apart();
  map_finds_what_it_was_given();
  ring_refuses_what_does_not_fit();
  ring_is_shared_out();
  ring_share_follows_the_reader();
  ring_joins_two_threads();
  networks_are_found_by_the_addresses_in_them();
  networks_have_devices_but_not_the_host();
  pools_are_of_devices();
  echo_answers_the_heartbeat_only();
  puts("ok");
  return 0;
}
