// Rate limits as the router's threads apply them, and the buckets of devices by a clock of this program. Without a word: ends with a line "ok", or with what was
// wrong. With the name of a file: prints for each device in it what it may.
#include "../../../native/packet/bytes.h"
#include "../../../native/router/rates/meter.h"
#include "../../../native/router/rates/rates.h"
#include "../../../native/router/router.h"
#include "../check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t SECOND = 1000000000, MILLISECOND = 1000000;

static size_t read_hex(const char *text, uint8_t *bytes, size_t most) {
  size_t length = 0;
  for (unsigned byte; length < most && sscanf(text, "%2x", &byte) == 1; text += 2) bytes[length++] = (uint8_t)byte;
  return length;
}

// A line of the file: a device. One that begins with an equals sign has the limits from there on, as hex digits.
static void answer_all(const char *name) {
  static char line[ROUTER_MOST_RATES * ROUTER_RATE * 2 + 3];
  static uint8_t bytes[ROUTER_MOST_RATES * ROUTER_RATE];
  struct router_rates *rates = NULL;
  bool memory;
  FILE *file = fopen(name, "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file) != NULL) {
    if (line[0] == '=') {
      router_rates_release(rates);
      CHECK((rates = router_rates_new(bytes, read_hex(line + 1, bytes, sizeof bytes), &memory)) != NULL);
      continue;
    }
    char text[33];
    uint8_t address[16];
    unsigned group;
    struct router_rate found[2];
    CHECK(sscanf(line, "%u %32s", &group, text) == 2 && read_hex(text, address, 16) == 16);
    router_rates_find(rates, group, address, found);
    for (int i = 0; i < 2; i++) printf("%llu %llu ", (unsigned long long)found[i].packets, (unsigned long long)found[i].bytes);
    puts("");
  }
  router_rates_release(rates);
  fclose(file);
}

static void put64(uint8_t *at, uint64_t value) {
  dp_put32(at, (uint32_t)(value >> 32));
  dp_put32(at + 4, (uint32_t)value);
}

// What is no limit is refused whole, wherever it stands.
static void what_is_no_limit_is_refused(void) {
  uint8_t good[4 * ROUTER_RATE] = {0}, bad[sizeof good];
  bool memory;
  for (int i = 0; i < 4; i++) good[i * ROUTER_RATE] = (uint8_t)(3 - i);
  good[15] = 9;                // a device
  good[ROUTER_RATE + 7] = 9;   // a group
  for (int i = 0; i < 4; i++) put64(good + i * ROUTER_RATE + 24, i == 0 ? ROUTER_RATE_INHERITED : ROUTER_METER_MOST);
  struct router_rates *rates = router_rates_new(good, sizeof good, &memory);
  CHECK(rates != NULL);
  router_rates_release(router_rates_keep(rates));
  router_rates_release(rates);
  router_rates_release(NULL);
  CHECK(router_rates_new(good, 0, &memory) == NULL && memory);
  CHECK(router_rates_new(good, sizeof good - 1, &memory) == NULL && memory);
  static uint8_t many[(ROUTER_MOST_RATES + 1) * ROUTER_RATE];
  for (uint32_t i = 0; i <= ROUTER_MOST_RATES; i++) {
    many[i * ROUTER_RATE] = ROUTER_RATE_GROUP;
    dp_put32(many + i * ROUTER_RATE + 4, i + 1);
  }
  CHECK(router_rates_new(many, sizeof many, &memory) == NULL && memory);
  // at, value: whose, zeros, a group and an address that are not there or not needed, rates that are too high
  static const uint8_t wrong[][2] = {{0, 4}, {1, 1}, {3, 1}, {15, 0}, {7, 1}, {63, 0}, {79, 1}, {119, 1}, {175, 1}, {88, 1}, {216, 0x80}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    memcpy(bad, good, sizeof good);
    bad[wrong[i][0]] = wrong[i][1];
    CHECK(router_rates_new(bad, sizeof bad, &memory) == NULL && memory);
  }
  // Two of one device.
  memcpy(bad, good, sizeof good);
  memcpy(bad + 2 * ROUTER_RATE, good, ROUTER_RATE);
  CHECK(router_rates_new(bad, sizeof bad, &memory) == NULL && memory);
}

static const uint64_t RATES[] = {1, 7, 1000, 333333, 1000003, 123456789, 10000000000};
enum { COUNT = sizeof RATES / sizeof *RATES };

// However it is asked: what has passed is what time has brought, to the billionth of a packet, until the bucket is full.
static void a_bucket_is_exact(void) {
  for (int i = 0; i < COUNT; i++) {
    struct router_meter meter = {0};
    uint64_t began = 77 * SECOND, now = began, passed = 0;
    router_meter_set(&meter, RATES[i], 4 * ROUTER_METER_DEAREST, now);
    for (int step = 0; step < 200000; step++) {
      uint64_t amount = 1 + (uint64_t)rand() % (step % 3 == 0 ? ROUTER_METER_DEAREST : 1500);
      now += (uint64_t)rand() % (1 + amount * SECOND / RATES[i] / 2);
      if (!router_meter_open(&meter, now)) continue;
      router_meter_take(&meter, amount);
      passed += amount;
    }
    __int128 brought = (__int128)(meter.at - began) * RATES[i], taken = (__int128)passed * SECOND;
    CHECK(meter.level <= meter.full && meter.level >= -(int64_t)ROUTER_METER_DEAREST * (int64_t)SECOND);
    CHECK(brought - taken == meter.level);
  }
}

// How many pass at once, one by one.
static uint64_t pass_at(struct router_meter *meter, uint64_t now) {
  uint64_t count = 0;
  for (; router_meter_open(meter, now); count++) router_meter_take(meter, 1);
  return count;
}

// One passes at any time in which nothing is owed; after silence, as many more as the bucket holds, however long that was.
static void silence_saves_no_more_than_a_bucket(void) {
  struct router_meter meter = {0};
  uint64_t now = SECOND;
  router_meter_set(&meter, 1000, 16, now);
  CHECK(pass_at(&meter, now) == 1);
  CHECK(pass_at(&meter, now + MILLISECOND - 1) == 0 && pass_at(&meter, now + MILLISECOND) == 1);
  CHECK(pass_at(&meter, now + 100 * MILLISECOND) == 99);
  CHECK(pass_at(&meter, now + 3600 * SECOND) == 251);
  CHECK(pass_at(&meter, now + 3600 * SECOND + 100 * MILLISECOND) == 100);
  router_meter_set(&meter, 8, 16, now += 4000 * SECOND);
  CHECK(pass_at(&meter, now) == 1 && pass_at(&meter, now + 3600 * SECOND) == 17);
}

// A burst passes whole; what it owes is paid before the next one, however low the rate is.
static void a_debt_is_paid(void) {
  for (int i = 0; i < COUNT; i++) {
    struct router_meter meter = {0};
    uint64_t now = SECOND, owed = ((uint64_t)ROUTER_METER_DEAREST * SECOND + RATES[i] - 1) / RATES[i];
    router_meter_set(&meter, RATES[i], 16, now);
    CHECK(router_meter_open(&meter, now));
    router_meter_take(&meter, ROUTER_METER_DEAREST);
    for (int part = 0; part < 8; part++) CHECK(!router_meter_open(&meter, now + owed * (uint64_t)part / 8));
    CHECK(!router_meter_open(&meter, now + owed - 1) && router_meter_open(&meter, now + owed));
  }
}

static void another_rate_begins_empty(void) {
  struct router_meter meter = {0};
  uint64_t now = SECOND;
  CHECK(router_meter_open(&meter, now));
  router_meter_take(&meter, 1000);  // no limit: nothing is owed
  router_meter_set(&meter, 100, 16, now);
  CHECK(pass_at(&meter, now + SECOND) == 26);
  router_meter_set(&meter, 100, 16, now + SECOND);
  CHECK(pass_at(&meter, now + SECOND) == 0);
  router_meter_set(&meter, 1000, 16, now + 3 * SECOND);
  CHECK(pass_at(&meter, now + 3 * SECOND) == 1);
  router_meter_set(&meter, 0, 16, now + 3 * SECOND);
  CHECK(router_meter_open(&meter, now + 3 * SECOND) && router_meter_open(&meter, now));
  // A clock that seems to go back brings nothing, and nothing twice.
  router_meter_set(&meter, 1000, 16, now);
  CHECK(pass_at(&meter, now + SECOND) == 251 && pass_at(&meter, now) == 0 && pass_at(&meter, now + SECOND + MILLISECOND) == 1);
}

// The one network of these devices.
static struct router_tenant plant;

struct router_tenant *router_tenant(struct router_thread *thread, uint32_t network) {
  (void)thread;
  return network == 1 ? &plant : NULL;
}

enum { PUMPS = 5, CAMERAS = 6, MSS = 1208, HEADERS = 72, SEGMENTS = 44 };

struct device {
  struct router_connection connection;
  struct router_peer peer;
};

static void open_device(struct device *device, uint32_t group, uint8_t last) {
  memset(device, 0, sizeof *device);
  device->connection.tenant = &plant;
  device->connection.peer = &device->peer;
  device->connection.group = group;
  device->connection.own.own[15] = last;
}

static const struct dp_frame SINGLE = {.length = HEADERS + MSS};
static const struct dp_frame BURST = {.length = HEADERS + SEGMENTS * MSS - 8, .gso = DP_GSO_TCP6, .segment = MSS, .headers = {.length = HEADERS}};
static const struct dp_frame LAST = {.length = HEADERS + MSS - 8};

static bool sends(struct device *device, const struct dp_frame *frame, uint64_t now) {
  return router_within_rates(&device->connection, ROUTER_OUT, frame, now);
}

static bool gets(struct device *device, const struct dp_frame *frame, uint64_t now) {
  return router_within_rates(&device->connection, ROUTER_IN, frame, now);
}

static uint64_t limited(const struct device *device) { return dp_value(&device->peer.drops.limited); }

// One limit of the group of pumps.
static void limit_pumps(uint64_t packets_in, uint64_t bytes_in, uint64_t packets_out, uint64_t bytes_out) {
  uint8_t row[ROUTER_RATE] = {ROUTER_RATE_GROUP, [7] = PUMPS};
  uint64_t values[] = {packets_in, bytes_in, packets_out, bytes_out};
  bool memory;
  for (int i = 0; i < 4; i++) put64(row + 24 + 8 * i, values[i]);
  struct router_rates *rates = router_rates_new(row, sizeof row, &memory);
  CHECK(rates != NULL);
  router_take_rates(NULL, 1, rates);
  router_rates_release(rates);
}

// A burst costs as much as its packets do that come alone, on whichever wire.
static void a_burst_costs_what_its_packets_cost(void) {
  struct device one, other;
  uint64_t now = SECOND;
  open_device(&one, PUMPS, 1);
  open_device(&other, PUMPS, 2);
  limit_pumps(1000000, 1000000000, 1000000, 1000000000);
  CHECK(sends(&one, &SINGLE, now) && sends(&other, &SINGLE, now));
  now += SECOND;
  CHECK(sends(&one, &BURST, now));
  for (int i = 1; i < SEGMENTS; i++) CHECK(sends(&other, &SINGLE, now));
  CHECK(sends(&other, &LAST, now));
  struct router_meters *burst = &one.connection.meters[ROUTER_OUT], *singles = &other.connection.meters[ROUTER_OUT];
  CHECK(burst->packets.level == singles->packets.level && burst->bytes.level == singles->bytes.level);
  CHECK(burst->packets.level == burst->packets.full - SEGMENTS * (int64_t)SECOND);
  CHECK(burst->bytes.level == burst->bytes.full - (SEGMENTS * (HEADERS + MSS) - 8) * (int64_t)SECOND);
  CHECK(limited(&one) == 0 && limited(&other) == 0);
}

// What is beyond is dropped and counted, packet by packet; what is dropped uses nothing up.
static void what_is_beyond_is_counted(void) {
  struct device device;
  uint64_t now = SECOND;
  open_device(&device, PUMPS, 1);
  limit_pumps(0, 0, 10, 0);
  CHECK(sends(&device, &BURST, now) && !sends(&device, &BURST, now) && limited(&device) == SEGMENTS);
  CHECK(!sends(&device, &SINGLE, now) && limited(&device) == SEGMENTS + 1);
  for (int i = 0; i < 100; i++) CHECK(gets(&device, &BURST, now));
  CHECK(!sends(&device, &SINGLE, now + SEGMENTS * SECOND / 10 - 1) && sends(&device, &SINGLE, now + SEGMENTS * SECOND / 10));
  // Of either kind: while bytes are owed, no packets are used.
  limit_pumps(1000, 1280, 0, 0);
  now += 100 * SECOND;
  CHECK(gets(&device, &SINGLE, now));
  uint64_t before = limited(&device);
  for (int i = 0; i < 500; i++) CHECK(!gets(&device, &SINGLE, now + MILLISECOND) && sends(&device, &SINGLE, now));
  CHECK(limited(&device) == before + 500 && gets(&device, &SINGLE, now + SECOND));
}

// So many as the limit says pass of a flood, and no other device feels it.
static void a_flood_takes_its_own_share(void) {
  struct device flood, quiet, camera;
  uint64_t now = SECOND, passed = 0;
  open_device(&flood, PUMPS, 1);
  open_device(&quiet, PUMPS, 2);
  open_device(&camera, CAMERAS, 3);
  limit_pumps(0, 0, 500, 0);
  for (int i = 0; i < 1000000; i++, now += 10000) {
    passed += sends(&flood, &SINGLE, now);
    CHECK(sends(&camera, &BURST, now));
    if (i % 500 == 0) CHECK(sends(&quiet, &SINGLE, now));
  }
  CHECK(passed == 5000 && limited(&flood) == 1000000 - 5000 && limited(&quiet) == 0 && limited(&camera) == 0);
}

// Newer limits count from the next packet on; a limit that stays the same forgives nothing.
static void newer_limits_count_at_once(void) {
  struct device device;
  uint64_t now = SECOND;
  open_device(&device, PUMPS, 1);
  router_take_rates(NULL, 1, NULL);
  router_take_rates(NULL, 2, NULL);
  for (int i = 0; i < 100; i++) CHECK(sends(&device, &BURST, now));
  limit_pumps(0, 0, 10, 0);
  CHECK(sends(&device, &BURST, now) && !sends(&device, &SINGLE, now));
  limit_pumps(7, 0, 10, 0);
  CHECK(!sends(&device, &SINGLE, now) && gets(&device, &SINGLE, now) && !gets(&device, &SINGLE, now));
  limit_pumps(7, 0, 0, 0);
  CHECK(sends(&device, &BURST, now) && sends(&device, &BURST, now) && !gets(&device, &SINGLE, now));
  router_take_rates(NULL, 1, NULL);
  CHECK(gets(&device, &SINGLE, now) && gets(&device, &SINGLE, now));
}

int main(int count, char **words) {
  if (count > 1) {
    answer_all(words[1]);
    return 0;
  }
  what_is_no_limit_is_refused();
  a_bucket_is_exact();
  silence_saves_no_more_than_a_bucket();
  a_debt_is_paid();
  another_rate_begins_empty();
  a_burst_costs_what_its_packets_cost();
  what_is_beyond_is_counted();
  a_flood_takes_its_own_share();
  newer_limits_count_at_once();
  router_rates_release(plant.rates);
  puts("ok");
  return 0;
}
