#include "rules.h"
#include "packet/bytes.h"
#include "packet/packet.h"
#include "packet/wire.h"
#include <stdlib.h>
#include <string.h>

enum { ADDRESS = 16, PORTS = 65536, ALL = PORTS - 1, WORD = 64, COUNTS_ALIGNED = 64 };
enum { PROTOCOL_ANY, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMPV6, PROTOCOLS };

// A rule as it came.
struct rule {
  bool allow;
  enum router_direction direction;
  enum router_party device, other;
  uint8_t protocol;
  uint16_t first, last;
  uint32_t device_group, other_group, other_network;
  const uint8_t *device_address, *other_address;
};

// A set of rules: one bit for each.
typedef uint64_t word;

// Which rules name something.
struct named {
  uint8_t key[ADDRESS];  // an address, or a number in its last bytes
  word *set;
};

struct names {
  uint32_t count;
  struct named *sorted;
  word *sets;
};

// Which rules of a protocol fit a port: `sets[i]` from `from[i]` on.
struct ports {
  uint32_t count;
  uint32_t *from;
  word *sets;
};

struct router_rules {
  _Atomic uint32_t references;
  uint32_t count, words, threads, counts_stride;
  struct names groups, devices;                                // of its own devices
  struct names other_groups, other_devices, other_networks;    // at the other end
  struct ports tcp, udp;
  uint32_t open_count, *open;  // the other networks that a rule lets in, sorted
  struct router_rule_count *counts;
  // Each of `words`, one behind the other.
  word *directions[2], *any_device, *zones[4], *icmpv6, *others, *hidden, *allowed;
  word sets[];
};

enum { FIXED_SETS = 2 + 1 + 4 + 4 };

static void put(word *set, uint32_t rule) { set[rule / WORD] |= (word)1 << rule % WORD; }
static bool has(const word *set, uint32_t rule) { return (set[rule / WORD] >> rule % WORD & 1) != 0; }

static bool is_zero(const uint8_t *bytes, size_t length) {
  uint8_t all = 0;
  for (size_t i = 0; i < length; i++) all |= bytes[i];
  return all == 0;
}

// A party has what it needs and nothing else.
static bool is_party(enum router_party party, uint32_t group, uint32_t network, const uint8_t *address) {
  bool needs_address = party == ROUTER_PARTY_DEVICE;
  bool needs_network = party == ROUTER_PARTY_NETWORK;
  return (group != 0) == (party == ROUTER_PARTY_GROUP) && is_zero(address, ADDRESS) != needs_address &&
         (network != 0 || !needs_network);
}

static bool read_rule(const uint8_t *bytes, struct rule *rule) {
  if (bytes[0] > 1 || bytes[1] > 1 || bytes[2] > ROUTER_PARTY_DEVICE || bytes[3] > ROUTER_PARTY_OUTSIDE || bytes[4] >= PROTOCOLS) return false;
  *rule = (struct rule){.allow = bytes[0] == 1,
                        .direction = (enum router_direction)bytes[1],
                        .device = (enum router_party)bytes[2],
                        .other = (enum router_party)bytes[3],
                        .protocol = bytes[4],
                        .first = dp_get16(bytes + 8),
                        .last = dp_get16(bytes + 10),
                        .device_group = dp_get32(bytes + 12),
                        .other_group = dp_get32(bytes + 16),
                        .other_network = dp_get32(bytes + 20),
                        .device_address = bytes + 24,
                        .other_address = bytes + 40};
  bool has_ports = rule->protocol == PROTOCOL_TCP || rule->protocol == PROTOCOL_UDP;
  bool all_ports = rule->first == 0 && rule->last == ALL;
  bool may_be_foreign = rule->other == ROUTER_PARTY_GROUP || rule->other == ROUTER_PARTY_DEVICE || rule->other == ROUTER_PARTY_NETWORK;
  return is_zero(bytes + 5, 3) && rule->first <= rule->last && (has_ports || all_ports) &&
         is_party(rule->device, rule->device_group, 0, rule->device_address) &&
         is_party(rule->other, rule->other_group, rule->other_network, rule->other_address) &&
         (rule->other_network == 0 || may_be_foreign);
}

static void number_key(uint32_t number, uint8_t key[ADDRESS]) {
  memset(key, 0, ADDRESS);
  dp_put32(key + ADDRESS - 4, number);
}

static int compare_keys(const void *one, const void *other) { return memcmp(one, other, ADDRESS); }

static const word *find(const struct names *names, const uint8_t key[ADDRESS]) {
  const struct named *found = names->count == 0 ? NULL : bsearch(key, names->sorted, names->count, sizeof *names->sorted, compare_keys);
  return found == NULL ? NULL : found->set;
}

static const word *find_number(const struct names *names, uint32_t number) {
  uint8_t key[ADDRESS];
  if (number == 0 || names->count == 0) return NULL;
  number_key(number, key);
  return find(names, key);
}

// The key by which a rule names something of that kind; false if it does not.
static bool key_of(const struct rule *rule, bool other, enum router_party kind, uint8_t key[ADDRESS]) {
  if ((other ? rule->other : rule->device) != kind) return false;
  if (kind == ROUTER_PARTY_DEVICE) memcpy(key, other ? rule->other_address : rule->device_address, ADDRESS);
  else number_key(kind == ROUTER_PARTY_NETWORK ? rule->other_network : other ? rule->other_group : rule->device_group, key);
  return true;
}

static bool build_names(struct names *names, const struct rule *rules, uint32_t count, uint32_t words, bool other, enum router_party kind) {
  uint8_t key[ADDRESS];
  uint32_t named = 0, kept = 0;
  for (uint32_t i = 0; i < count; i++) named += key_of(&rules[i], other, kind, key);
  if (named == 0) return true;
  names->sorted = calloc(named, sizeof *names->sorted);
  names->sets = calloc((size_t)named * words, sizeof *names->sets);
  if (names->sorted == NULL || names->sets == NULL) return false;
  for (uint32_t i = 0; i < count; i++)
    if (key_of(&rules[i], other, kind, key)) memcpy(names->sorted[names->count++].key, key, ADDRESS);
  qsort(names->sorted, named, sizeof *names->sorted, compare_keys);
  for (uint32_t i = 0; i < named; i++)
    if (kept == 0 || compare_keys(names->sorted[kept - 1].key, names->sorted[i].key) != 0) names->sorted[kept++] = names->sorted[i];
  names->count = kept;
  for (uint32_t i = 0; i < kept; i++) names->sorted[i].set = names->sets + (size_t)i * words;
  for (uint32_t i = 0; i < count; i++)
    if (key_of(&rules[i], other, kind, key)) put((word *)find(names, key), i);
  return true;
}

static int compare_numbers(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return a < b ? -1 : a > b;
}

// Sorts numbers and leaves out those that are there twice; how many are left.
static uint32_t sort_numbers(uint32_t *numbers, uint32_t count) {
  uint32_t kept = 0;
  qsort(numbers, count, sizeof *numbers, compare_numbers);
  for (uint32_t i = 0; i < count; i++)
    if (kept == 0 || numbers[kept - 1] != numbers[i]) numbers[kept++] = numbers[i];
  return kept;
}

static uint32_t place_of(const struct ports *ports, uint32_t port) {
  uint32_t from = 0, to = ports->count;
  while (to - from > 1) {
    uint32_t middle = from + (to - from) / 2;
    if (ports->from[middle] <= port) from = middle;
    else to = middle;
  }
  return from;
}

// `others` fit whatever the protocol is.
static bool build_ports(struct ports *ports, const struct rule *rules, uint32_t count, uint32_t words, uint8_t protocol, const word *others) {
  ports->from = calloc((size_t)count * 2 + 1, sizeof *ports->from);
  if (ports->from == NULL) return false;
  uint32_t bounds = 1;  // 0
  for (uint32_t i = 0; i < count; i++) {
    if (rules[i].protocol != protocol) continue;
    ports->from[bounds++] = rules[i].first;
    if (rules[i].last < ALL) ports->from[bounds++] = rules[i].last + 1u;
  }
  ports->count = sort_numbers(ports->from, bounds);
  ports->sets = calloc((size_t)ports->count * words, sizeof *ports->sets);
  if (ports->sets == NULL) return false;
  for (uint32_t place = 0; place < ports->count; place++) memcpy(ports->sets + (size_t)place * words, others, words * sizeof *others);
  for (uint32_t i = 0; i < count; i++) {
    if (rules[i].protocol != protocol) continue;
    uint32_t last = place_of(ports, rules[i].last);
    for (uint32_t place = place_of(ports, rules[i].first); place <= last; place++) put(ports->sets + (size_t)place * words, i);
  }
  return true;
}

static bool build_open(struct router_rules *set, const struct rule *rules) {
  set->open = calloc(set->count, sizeof *set->open);
  if (set->open == NULL) return false;
  for (uint32_t i = 0; i < set->count; i++)
    if (rules[i].allow && rules[i].direction == ROUTER_IN && rules[i].other_network != 0) set->open[set->open_count++] = rules[i].other_network;
  set->open_count = sort_numbers(set->open, set->open_count);
  return true;
}

static void place_sets(struct router_rules *set) {
  word *next = set->sets;
  word **const all[FIXED_SETS] = {&set->directions[0], &set->directions[1], &set->any_device, &set->zones[0], &set->zones[1], &set->zones[2],
                                  &set->zones[3],      &set->icmpv6,        &set->others,     &set->hidden,   &set->allowed};
  for (int i = 0; i < FIXED_SETS; i++, next += set->words) *all[i] = next;
}

static void put_rule(struct router_rules *set, uint32_t i, const struct rule *rule) {
  put(set->directions[rule->direction], i);
  if (rule->allow) put(set->allowed, i);
  if (rule->device == ROUTER_PARTY_ANY) put(set->any_device, i);
  bool any = rule->other == ROUTER_PARTY_ANY;
  if (any || rule->other == ROUTER_PARTY_OWN) put(set->zones[ROUTER_ZONE_OWN], i);
  if (any || rule->other == ROUTER_PARTY_HOST) put(set->zones[ROUTER_ZONE_HOST], i);
  if (any || rule->other == ROUTER_PARTY_OUTSIDE) put(set->zones[ROUTER_ZONE_OUTSIDE], i);
  // Another network is let in by name only.
  if (any && (!rule->allow || rule->direction == ROUTER_OUT)) put(set->zones[ROUTER_ZONE_FOREIGN], i);
  if (rule->protocol == PROTOCOL_ANY) put(set->others, i);
  if (rule->protocol == PROTOCOL_ANY || rule->protocol == PROTOCOL_ICMPV6) put(set->icmpv6, i);
  // Who does not know what it is lets nothing pass that may be something else.
  if (rule->protocol == PROTOCOL_ANY || !rule->allow) put(set->hidden, i);
}

static bool build(struct router_rules *set, const struct rule *rules) {
  uint32_t count = set->count, words = set->words;
  place_sets(set);
  for (uint32_t i = 0; i < count; i++) put_rule(set, i, &rules[i]);
  // Each thread's begin in a line of the cache of their own.
  set->counts_stride = (count + 3) / 4 * 4;
  size_t bytes = (size_t)set->threads * set->counts_stride * sizeof *set->counts;
  set->counts = aligned_alloc(COUNTS_ALIGNED, bytes);
  if (set->counts == NULL) return false;
  memset(set->counts, 0, bytes);
  return build_names(&set->groups, rules, count, words, false, ROUTER_PARTY_GROUP) &&
         build_names(&set->devices, rules, count, words, false, ROUTER_PARTY_DEVICE) &&
         build_names(&set->other_groups, rules, count, words, true, ROUTER_PARTY_GROUP) &&
         build_names(&set->other_devices, rules, count, words, true, ROUTER_PARTY_DEVICE) &&
         build_names(&set->other_networks, rules, count, words, true, ROUTER_PARTY_NETWORK) &&
         build_ports(&set->tcp, rules, count, words, PROTOCOL_TCP, set->others) &&
         build_ports(&set->udp, rules, count, words, PROTOCOL_UDP, set->others) &&
         build_open(set, rules);
}

struct router_rules *router_rules_new(const uint8_t *bytes, size_t length, uint32_t threads, bool *memory) {
  struct rule rules[ROUTER_MOST_RULES];
  uint32_t count = (uint32_t)(length / ROUTER_RULE), words = (count + WORD - 1) / WORD;
  *memory = true;
  if (length == 0 || length % ROUTER_RULE != 0 || length / ROUTER_RULE > ROUTER_MOST_RULES || threads == 0) return NULL;
  for (uint32_t i = 0; i < count; i++)
    if (!read_rule(bytes + (size_t)i * ROUTER_RULE, &rules[i])) return NULL;
  struct router_rules *set = calloc(1, sizeof *set + (size_t)FIXED_SETS * words * sizeof *set->sets);
  *memory = set != NULL;
  if (set == NULL) return NULL;
  atomic_init(&set->references, 1);
  set->count = count;
  set->words = words;
  set->threads = threads;
  if (build(set, rules)) return set;
  *memory = false;
  router_rules_release(set);
  return NULL;
}

struct router_rules *router_rules_keep(struct router_rules *rules) {
  if (rules != NULL) atomic_fetch_add(&rules->references, 1);
  return rules;
}

static void free_names(struct names *names) {
  free(names->sorted);
  free(names->sets);
}

static void free_ports(struct ports *ports) {
  free(ports->from);
  free(ports->sets);
}

void router_rules_release(struct router_rules *rules) {
  if (rules == NULL || atomic_fetch_sub(&rules->references, 1) != 1) return;
  free_names(&rules->groups);
  free_names(&rules->devices);
  free_names(&rules->other_groups);
  free_names(&rules->other_devices);
  free_names(&rules->other_networks);
  free_ports(&rules->tcp);
  free_ports(&rules->udp);
  free(rules->open);
  free(rules->counts);
  free(rules);
}

uint32_t router_rules_size(const struct router_rules *rules) { return rules->count; }
uint32_t router_rules_threads(const struct router_rules *rules) { return rules->threads; }

static const word *protocol_set(const struct router_rules *rules, const struct dp_tuple *tuple) {
  if (tuple->hidden) return rules->hidden;
  switch (tuple->protocol) {
    case DP_TCP: return rules->tcp.sets + (size_t)place_of(&rules->tcp, tuple->destination_port) * rules->words;
    case DP_UDP: return rules->udp.sets + (size_t)place_of(&rules->udp, tuple->destination_port) * rules->words;
    case WIRE_ICMPV6: return rules->icmpv6;
    default: return rules->others;
  }
}

uint32_t router_rules_find(const struct router_rules *rules, enum router_direction direction, const struct router_end *device,
                           const struct router_end *other, const struct dp_tuple *tuple) {
  static const word nothing[(ROUTER_MOST_RULES + WORD - 1) / WORD];
#define OR_NOTHING(set) ((set) ?: nothing)
  const word *group = OR_NOTHING(find_number(&rules->groups, device->group)), *own = OR_NOTHING(find(&rules->devices, device->address));
  const word *other_group = OR_NOTHING(find_number(&rules->other_groups, other->group));
  const word *other_device = OR_NOTHING(find(&rules->other_devices, other->address));
  bool foreign = other->zone == ROUTER_ZONE_FOREIGN;
  const word *network = OR_NOTHING(foreign ? find_number(&rules->other_networks, other->network) : NULL);
#undef OR_NOTHING
  const word *zone = rules->zones[other->zone], *way = rules->directions[direction], *protocol = protocol_set(rules, tuple);
  for (uint32_t i = 0; i < rules->words; i++) {
    word fits = way[i] & (rules->any_device[i] | group[i] | own[i]) & (zone[i] | network[i] | other_group[i] | other_device[i]) & protocol[i];
    if (fits != 0) return i * WORD + (uint32_t)__builtin_ctzll(fits);
  }
  return ROUTER_NO_RULE;
}

bool router_rules_allow(const struct router_rules *rules, uint32_t rule) { return has(rules->allowed, rule); }

bool router_rules_open_to(const struct router_rules *rules, uint32_t network) {
  return rules != NULL && rules->open_count > 0 &&
         bsearch(&network, rules->open, rules->open_count, sizeof *rules->open, compare_numbers) != NULL;
}

struct router_rule_count *router_rules_count(struct router_rules *rules, uint32_t thread, uint32_t rule) {
  return &rules->counts[(size_t)thread * rules->counts_stride + rule];
}
