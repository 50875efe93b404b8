#include "networks.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct network {
  uint64_t prefix;
  uint32_t number;
};

struct router_networks {
  _Atomic uint32_t references;
  uint32_t count;
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

struct router_networks *router_networks_new(const uint8_t *prefixes, uint32_t count) {
  struct router_networks *networks = malloc(sizeof *networks + count * sizeof *networks->sorted);
  if (networks == NULL) return NULL;
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
  if (networks != NULL && atomic_fetch_sub(&networks->references, 1) == 1) free(networks);
}

uint32_t router_networks_find(const struct router_networks *networks, const uint8_t address[16]) {
  struct network wanted = {.prefix = prefix_of(address)};
  const struct network *found = bsearch(&wanted, networks->sorted, networks->count, sizeof wanted, compare);
  return found == NULL ? 0 : found->number;
}

bool router_networks_have_device(const struct router_networks *networks, const uint8_t address[16]) {
  static const uint8_t host[16 - ROUTER_PREFIX] = {[15 - ROUTER_PREFIX] = 1};
  return memcmp(address + ROUTER_PREFIX, host, sizeof host) != 0 && router_networks_find(networks, address) != 0;
}
