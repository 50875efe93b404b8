#include "networks.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct network {
  uint64_t prefix;
  uint32_t number;
};

struct pool {
  uint64_t first, last;  // the /64s in it
  uint32_t number;
};

struct router_networks {
  _Atomic uint32_t references;
  uint32_t count, pool_count;
  struct pool *pools;  // sorted
  struct network sorted[];
};

static uint64_t prefix_of(const uint8_t *address) {
  uint64_t prefix;
  memcpy(&prefix, address, sizeof prefix);
  return be64toh(prefix);
}

static int compare(const void *one, const void *other) {
  uint64_t a = ((const struct network *)one)->prefix, b = ((const struct network *)other)->prefix;
  return a < b ? -1 : a > b;
}

static int compare_pools(const void *one, const void *other) {
  uint64_t a = ((const struct pool *)one)->first, b = ((const struct pool *)other)->first;
  return a < b ? -1 : a > b;
}

static struct pool read_pool(const uint8_t *bytes) {
  uint8_t length = bytes[12];
  uint32_t number;
  memcpy(&number, bytes + ROUTER_PREFIX, sizeof number);
  uint64_t rest = length == 0 || length >= 64 ? 0 : UINT64_MAX >> length, first = prefix_of(bytes) & ~rest;
  return (struct pool){first, first | rest, be32toh(number)};
}

struct router_networks *router_networks_new(const uint8_t *prefixes, uint32_t count, const uint8_t *pools, uint32_t pool_count) {
  struct router_networks *networks = malloc(sizeof *networks + count * sizeof *networks->sorted);
  if (networks == NULL) return NULL;
  networks->pools = calloc((size_t)pool_count + 1, sizeof *networks->pools);
  if (networks->pools == NULL) {
    free(networks);
    return NULL;
  }
  networks->pool_count = pool_count;
  for (uint32_t i = 0; i < pool_count; i++) networks->pools[i] = read_pool(pools + ROUTER_POOL * (size_t)i);
  qsort(networks->pools, pool_count, sizeof *networks->pools, compare_pools);
  atomic_init(&networks->references, 1);
  networks->count = count;
  for (uint32_t i = 0; i < count; i++) networks->sorted[i] = (struct network){prefix_of(prefixes + ROUTER_PREFIX * (size_t)i), i + 1};
  qsort(networks->sorted, count, sizeof *networks->sorted, compare);
  return networks;
}

struct router_networks *router_networks_keep(struct router_networks *networks) {
  if (networks != NULL) atomic_fetch_add(&networks->references, 1);
  return networks;
}

void router_networks_release(struct router_networks *networks) {
  if (networks == NULL || atomic_fetch_sub(&networks->references, 1) != 1) return;
  free(networks->pools);
  free(networks);
}

// Pools do not overlap, so it is the last one that begins before.
static const struct pool *find_pool(const struct router_networks *networks, uint64_t prefix) {
  uint32_t from = 0, to = networks->pool_count;
  while (to > from) {
    uint32_t middle = from + (to - from) / 2;
    if (networks->pools[middle].first <= prefix) from = middle + 1;
    else to = middle;
  }
  const struct pool *pool = from == 0 ? NULL : &networks->pools[from - 1];
  return pool != NULL && prefix <= pool->last ? pool : NULL;
}

uint32_t router_networks_find(const struct router_networks *networks, const uint8_t address[16]) {
  struct network wanted = {.prefix = prefix_of(address)};
  const struct network *found = bsearch(&wanted, networks->sorted, networks->count, sizeof wanted, compare);
  if (found != NULL) return found->number;
  const struct pool *pool = find_pool(networks, wanted.prefix);
  return pool == NULL ? 0 : pool->number;
}

bool router_networks_delegate(const struct router_networks *networks, const uint8_t address[16]) {
  return find_pool(networks, prefix_of(address)) != NULL;
}

bool router_networks_have_device(const struct router_networks *networks, const uint8_t address[16]) {
  static const uint8_t host[16 - ROUTER_PREFIX] = {[15 - ROUTER_PREFIX] = 1};
  bool is_host = memcmp(address + ROUTER_PREFIX, host, sizeof host) == 0;
  return is_host ? router_networks_delegate(networks, address) : router_networks_find(networks, address) != 0;
}
