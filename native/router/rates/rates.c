#include "rates.h"
#include "meter.h"
#include "packet/bytes.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 24, ADDRESS = 16, VALUES = 4 };

// Whose it is, as it came, and the values in the order of struct router_rate.
struct entry {
  uint8_t key[KEY];
  uint64_t values[VALUES];
};

struct router_rates {
  _Atomic uint32_t references;
  uint32_t count;
  struct entry sorted[];
};

static bool is_zero(const uint8_t *bytes, size_t length) {
  uint8_t all = 0;
  for (size_t i = 0; i < length; i++) all |= bytes[i];
  return all == 0;
}

static uint64_t get64(const uint8_t *bytes) { return (uint64_t)dp_get32(bytes) << 32 | dp_get32(bytes + 4); }

static void set_key(uint8_t key[KEY], enum router_rate_party party, uint32_t group, const uint8_t *address) {
  memset(key, 0, KEY);
  key[0] = (uint8_t)party;
  dp_put32(key + 4, group);
  if (address != NULL) memcpy(key + 8, address, ADDRESS);
}

// A party has what it needs and nothing else.
static bool read_entry(const uint8_t *bytes, struct entry *entry) {
  bool is_group = bytes[0] == ROUTER_RATE_GROUP, is_device = bytes[0] == ROUTER_RATE_DEVICE;
  bool is_party = bytes[0] <= ROUTER_RATE_DEVICE && is_zero(bytes + 1, 3) && is_zero(bytes + 4, 4) != is_group && is_zero(bytes + 8, ADDRESS) != is_device;
  memcpy(entry->key, bytes, KEY);
  for (int i = 0; i < VALUES; i++) {
    entry->values[i] = get64(bytes + KEY + 8 * i);
    is_party = is_party && (entry->values[i] <= ROUTER_METER_MOST || entry->values[i] == ROUTER_RATE_INHERITED);
  }
  return is_party;
}

static int compare(const void *one, const void *other) { return memcmp(one, other, KEY); }

static bool read_all(struct router_rates *rates, const uint8_t *bytes) {
  for (uint32_t i = 0; i < rates->count; i++)
    if (!read_entry(bytes + (size_t)i * ROUTER_RATE, &rates->sorted[i])) return false;
  qsort(rates->sorted, rates->count, sizeof *rates->sorted, compare);
  for (uint32_t i = 1; i < rates->count; i++)
    if (compare(&rates->sorted[i - 1], &rates->sorted[i]) == 0) return false;
  return true;
}

struct router_rates *router_rates_new(const uint8_t *bytes, size_t length, bool *memory) {
  *memory = true;
  if (length == 0 || length % ROUTER_RATE != 0 || length / ROUTER_RATE > ROUTER_MOST_RATES) return NULL;
  uint32_t count = (uint32_t)(length / ROUTER_RATE);
  struct router_rates *rates = calloc(1, sizeof *rates + count * sizeof *rates->sorted);
  *memory = rates != NULL;
  if (rates == NULL) return NULL;
  atomic_init(&rates->references, 1);
  rates->count = count;
  if (read_all(rates, bytes)) return rates;
  router_rates_release(rates);
  return NULL;
}

struct router_rates *router_rates_keep(struct router_rates *rates) {
  if (rates != NULL) atomic_fetch_add(&rates->references, 1);
  return rates;
}

void router_rates_release(struct router_rates *rates) {
  if (rates != NULL && atomic_fetch_sub(&rates->references, 1) == 1) free(rates);
}

// What is said of the party takes the place of what is in `values`.
static void take(const struct router_rates *rates, enum router_rate_party party, uint32_t group, const uint8_t *address, uint64_t values[VALUES]) {
  uint8_t key[KEY];
  set_key(key, party, group, address);
  const struct entry *entry = bsearch(key, rates->sorted, rates->count, sizeof *rates->sorted, compare);
  for (int i = 0; entry != NULL && i < VALUES; i++)
    if (entry->values[i] != ROUTER_RATE_INHERITED) values[i] = entry->values[i];
}

void router_rates_find(const struct router_rates *rates, uint32_t group, const uint8_t address[16], struct router_rate found[2]) {
  uint64_t values[VALUES] = {0}, most[VALUES] = {0};
  take(rates, ROUTER_RATE_MAX, 0, NULL, most);
  take(rates, ROUTER_RATE_ANY, 0, NULL, values);
  take(rates, ROUTER_RATE_GROUP, group, NULL, values);
  take(rates, ROUTER_RATE_DEVICE, 0, address, values);
  for (int i = 0; i < VALUES; i++)
    if (most[i] != 0 && (values[i] == 0 || values[i] > most[i])) values[i] = most[i];
  found[ROUTER_IN] = (struct router_rate){values[0], values[1]};
  found[ROUTER_OUT] = (struct router_rate){values[2], values[3]};
}
