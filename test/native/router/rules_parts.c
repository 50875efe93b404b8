// Rules as the router's threads apply them, and the flows that they have let pass. Without a word: ends with a line "ok", or with what was wrong. With the
// name of a file: prints for each question in it the place of the rule that decides.
#include "../../../native/packet/bytes.h"
#include "../../../native/packet/packet.h"
#include "../../../native/packet/wire.h"
#include "../../../native/router/rules/flows.h"
#include "../check.h"
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// node's OpenSSL is not here.
int RAND_bytes(unsigned char *bytes, int length) {
  for (int i = 0; i < length; i++) bytes[i] = (unsigned char)rand();
  return 1;
}

static const uint64_t SECOND = 1000000000;

static void set_address(uint8_t address[16], uint32_t network, uint32_t number) {
  memset(address, 0, 16);
  address[0] = 0xfd;
  dp_put32(address + 4, network);
  dp_put32(address + 12, number);
}

static size_t read_hex(const char *text, uint8_t *bytes, size_t most) {
  size_t length = 0;
  for (unsigned byte; length < most && sscanf(text, "%2x", &byte) == 1; text += 2) bytes[length++] = (uint8_t)byte;
  return length;
}

// A line of the file. One that begins with an equals sign has the rules that are asked from there on, as hex digits.
static void answer(const struct router_rules *rules, const char *line) {
  char own[33], others[33];
  uint8_t address[16], other_address[16];
  unsigned direction, group, other_group, network, zone, protocol, port, hidden;
  CHECK(sscanf(line, "%u %32s %u %32s %u %u %u %u %u %u", &direction, own, &group, others, &other_group, &network, &zone, &protocol, &port, &hidden) == 10);
  CHECK(read_hex(own, address, 16) == 16 && read_hex(others, other_address, 16) == 16);
  struct router_end device = {address, group, 1, ROUTER_ZONE_OWN}, other = {other_address, other_group, network, (enum router_zone)zone};
  struct dp_tuple tuple = {.hidden = hidden != 0, .protocol = (uint8_t)protocol, .source_port = 7, .destination_port = (uint16_t)port};
  uint32_t rule = router_rules_find(rules, (enum router_direction)direction, &device, &other, &tuple);
  printf("%d\n", rule == ROUTER_NO_RULE ? -1 : (int)rule);
}

static void answer_all(const char *name) {
  static char line[ROUTER_MOST_RULES * ROUTER_RULE * 2 + 3];
  static uint8_t bytes[ROUTER_MOST_RULES * ROUTER_RULE];
  struct router_rules *rules = NULL;
  bool memory;
  FILE *file = fopen(name, "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file) != NULL) {
    if (line[0] != '=') {
      answer(rules, line);
      continue;
    }
    router_rules_release(rules);
    CHECK((rules = router_rules_new(bytes, read_hex(line + 1, bytes, sizeof bytes), 1, &memory)) != NULL);
  }
  router_rules_release(rules);
  fclose(file);
}

// What is no rule is refused whole, wherever it stands.
static void what_is_no_rule_is_refused(void) {
  uint8_t good[3 * ROUTER_RULE] = {0}, bad[sizeof good];
  bool memory;
  for (int i = 0; i < 3; i++) {
    dp_put16(good + i * ROUTER_RULE + 10, 65535);
    good[i * ROUTER_RULE] = 1;
  }
  struct router_rules *rules = router_rules_new(good, sizeof good, 2, &memory);
  CHECK(rules != NULL && router_rules_size(rules) == 3 && router_rules_threads(rules) == 2);
  router_rules_release(router_rules_keep(rules));
  router_rules_release(rules);
  CHECK(router_rules_new(good, 0, 2, &memory) == NULL && memory);
  CHECK(router_rules_new(good, sizeof good - 1, 2, &memory) == NULL && memory);
  static uint8_t many[(ROUTER_MOST_RULES + 1) * ROUTER_RULE];
  CHECK(router_rules_new(many, sizeof many, 2, &memory) == NULL && memory);
  // at, value: action, direction, parties, protocol, zeros, ports, and what a party does not need
  static const uint8_t wrong[][2] = {{0, 2}, {1, 2}, {2, 3}, {3, 7}, {4, 4}, {5, 1}, {7, 1}, {8, 1}, {10, 0}, {12, 1}, {16, 1}, {20, 1}, {24, 1}, {55, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    memcpy(bad, good, sizeof good);
    bad[2 * ROUTER_RULE + wrong[i][0]] = wrong[i][1];
    CHECK(router_rules_new(bad, sizeof bad, 2, &memory) == NULL && memory);
  }
  // A party that lacks what it needs; TCP with its ports the wrong way round.
  static const uint8_t lacking[][2] = {{2, ROUTER_PARTY_GROUP}, {2, ROUTER_PARTY_DEVICE}, {3, ROUTER_PARTY_GROUP}, {3, ROUTER_PARTY_DEVICE}, {3, ROUTER_PARTY_NETWORK}};
  for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
    memcpy(bad, good, sizeof good);
    bad[lacking[i][0]] = lacking[i][1];
    CHECK(router_rules_new(bad, sizeof bad, 2, &memory) == NULL && memory);
  }
  memcpy(bad, good, sizeof good);
  bad[4] = 1;
  dp_put16(bad + 8, 2);
  dp_put16(bad + 10, 1);
  CHECK(router_rules_new(bad, sizeof bad, 2, &memory) == NULL && memory);
}

// Only rules that let something in from another network open a network to it.
static void another_network_is_let_in_by_name(void) {
  uint8_t bytes[4 * ROUTER_RULE] = {0};
  bool memory;
  for (uint32_t i = 0; i < 4; i++) {
    uint8_t *rule = bytes + i * ROUTER_RULE;
    rule[0] = i != 1;                       // the second denies
    rule[1] = i == 2;                       // the third lets out
    rule[3] = i == 3 ? ROUTER_PARTY_ANY : ROUTER_PARTY_NETWORK;
    dp_put16(rule + 10, 65535);
    if (i < 3) dp_put32(rule + 20, 7 + i);
  }
  struct router_rules *rules = router_rules_new(bytes, sizeof bytes, 1, &memory);
  CHECK(router_rules_open_to(rules, 7) && !router_rules_open_to(rules, 8) && !router_rules_open_to(rules, 9) && !router_rules_open_to(rules, 1));
  CHECK(!router_rules_open_to(NULL, 7));
  CHECK(router_rules_allow(rules, 0) && !router_rules_allow(rules, 1));
  router_rules_release(rules);
}

enum { NETWORKS = 2, DEVICES = 6, MOST = 600, MOST_OF_ONE = 400 };

struct place {
  struct router_flows flows;
  struct dp_group networks[NETWORKS];
  struct router_flow_owner devices[DEVICES];
  uint64_t now;
};

static struct place place;

static void open_place(void) {
  CHECK(router_flows_init(&place.flows, MOST, MOST_OF_ONE));
  place.now = 3600 * SECOND;
  for (int i = 0; i < NETWORKS; i++) router_flows_group(&place.flows, &place.networks[i]);
  for (int i = 0; i < DEVICES; i++) router_flows_join(&place.networks[i % NETWORKS], &place.devices[i]);
}

static void close_place(void) {
  for (int i = 0; i < DEVICES; i++) {
    router_flows_leave(&place.flows, &place.devices[i]);
    router_flows_leave(&place.flows, &place.devices[i]);
  }
  CHECK(place.flows.count == 0 && dp_share_largest(&place.flows.groups) == NULL);
  router_flows_free(&place.flows);
}

static struct dp_tuple tcp(uint16_t from, uint16_t to, uint8_t flags) {
  return (struct dp_tuple){.protocol = DP_TCP, .source_port = from, .destination_port = to, .flags = flags};
}

static struct router_flow_key key_to(const struct dp_tuple *tuple, enum router_direction direction, uint32_t number) {
  struct router_flow_key key;
  uint8_t other[16];
  set_address(other, 9, number);
  CHECK(router_flow_key(tuple, direction, other, &key));
  return key;
}

static struct router_flow *find(uint32_t device, const struct router_flow_key *key) {
  return router_flows_find(&place.flows, &place.devices[device], key, place.now);
}

// A flow of the device to somebody of that number; it may be there already.
static void send(uint32_t device, uint32_t number) {
  struct dp_tuple tuple = tcp(1000, 80, DP_SYN);
  struct router_flow_key key = key_to(&tuple, ROUTER_OUT, number);
  struct router_flow *flow = find(device, &key);
  if (flow == NULL) flow = router_flows_add(&place.flows, &place.devices[device], &key, ROUTER_OUT, place.now);
  CHECK(flow != NULL);
  router_flow_use(flow, ROUTER_OUT, &tuple, place.now);
  CHECK(place.flows.count <= MOST);
}

static bool has(uint32_t device, uint32_t number) {
  struct dp_tuple tuple = tcp(1000, 80, 0);
  struct router_flow_key key = key_to(&tuple, ROUTER_OUT, number);
  return find(device, &key) != NULL;
}

// What goes one way has the key of what comes back, and nothing else has.
static void answers_are_of_the_flow(void) {
  struct dp_tuple out = tcp(1000, 80, 0), in = tcp(80, 1000, 0), other = tcp(1000, 80, 0);
  struct router_flow_key one = key_to(&out, ROUTER_OUT, 1), back = key_to(&in, ROUTER_IN, 1), begun = key_to(&other, ROUTER_IN, 1);
  CHECK(one.rest == back.rest && one.rest != begun.rest);
  struct dp_tuple asked = {.protocol = WIRE_ICMPV6, .type = WIRE_ECHO_REQUEST, .source_port = 5, .destination_port = 5}, told = asked;
  told.type = WIRE_ECHO_REPLY;
  CHECK(key_to(&asked, ROUTER_OUT, 1).rest == key_to(&told, ROUTER_IN, 1).rest);
  CHECK(key_to(&asked, ROUTER_OUT, 1).rest != key_to(&asked, ROUTER_IN, 1).rest);
  CHECK(key_to(&asked, ROUTER_OUT, 1).rest != key_to(&told, ROUTER_OUT, 1).rest);
  struct router_flow_key unused;
  uint8_t address[16] = {0};
  struct dp_tuple error = {.protocol = WIRE_ICMPV6, .type = 1}, hidden = {.hidden = true, .protocol = DP_TCP};
  CHECK(!router_flow_key(&error, ROUTER_OUT, address, &unused) && !router_flow_key(&hidden, ROUTER_OUT, address, &unused));
}

// Two machines behind a device may use one port towards one address: neither gets the answers of the other.
static void machines_have_flows_of_their_own(void) {
  open_place();
  struct dp_tuple tuple = tcp(1000, 80, DP_SYN);
  struct router_flow_key key = key_to(&tuple, ROUTER_OUT, 1);
  CHECK(key.behind == 0);
  struct router_flow *flows[3];
  for (uint64_t machine = 0; machine < 3; machine++) {
    key.behind = machine;
    CHECK(find(0, &key) == NULL);
    flows[machine] = router_flows_add(&place.flows, &place.devices[0], &key, ROUTER_OUT, place.now);
    CHECK(flows[machine] != NULL);
  }
  for (uint64_t machine = 0; machine < 3; machine++) {
    key.behind = machine;
    CHECK(find(0, &key) == flows[machine]);
    CHECK(router_flow_recent(&place.flows, &place.devices[0], ROUTER_OUT, &key) == flows[machine]);
  }
  // What every packet of a flow needs is in one line of the cache.
  CHECK(offsetof(struct router_flow, next) == 64);
  close_place();
}

// However many flows one device begins, in its network and in others nobody loses any that holds no more than its share.
static void a_scanner_loses_its_own(void) {
  open_place();
  for (uint32_t device = 1; device < DEVICES; device++)
    for (uint32_t i = 0; i < 40; i++) send(device, i);
  for (uint32_t i = 0; i < 50000; i++) {
    send(0, 1000 + i);
    CHECK(place.devices[0].share.holder.held <= MOST_OF_ONE);
  }
  for (uint32_t device = 1; device < DEVICES; device++)
    for (uint32_t i = 0; i < 40; i++) CHECK(has(device, i));
  CHECK(has(0, 50999) && !has(0, 1000));
  close_place();
}

// A network of scanners takes nothing from another network.
static void a_network_of_scanners_loses_its_own(void) {
  open_place();
  for (uint32_t i = 0; i < 200; i++) send(1, i);
  for (uint32_t i = 0; i < 20000; i++)
    for (uint32_t device = 0; device < DEVICES; device += NETWORKS) send(device, 1000 + i);
  for (uint32_t i = 0; i < 200; i++) CHECK(has(1, i));
  close_place();
}

// What is used stays, however old it is; what is not used goes first.
static void what_is_used_is_kept(void) {
  open_place();
  send(0, 1);
  send(0, 2);
  for (uint32_t i = 0; i < 5000; i++) {
    place.now += SECOND / 10;
    send(0, 1);
    send(0, 100 + i);
  }
  CHECK(has(0, 1) && !has(0, 2));
  close_place();
}

// What is remembered of the last packets is forgotten with its flow.
static void a_recent_flow_may_go(void) {
  open_place();
  struct dp_tuple out = tcp(1000, 80, 0), in = tcp(80, 1000, 0), another = tcp(1000, 80, 0);
  struct router_flow_key key = key_to(&out, ROUTER_OUT, 1), back = key_to(&in, ROUTER_IN, 1), other = key_to(&another, ROUTER_OUT, 2);
  struct router_flow_owner *owner = &place.devices[0];
  send(0, 1);
  send(0, 2);
  for (int i = 0; i < 2; i++) {
    struct router_flow *flow = router_flow_recent(&place.flows, owner, ROUTER_OUT, &key);
    CHECK(flow != NULL && flow == find(0, &key) && flow == router_flow_recent(&place.flows, owner, ROUTER_IN, &back));
    CHECK(router_flow_recent(&place.flows, owner, ROUTER_OUT, &other) == find(0, &other));
  }
  router_flow_recent(&place.flows, owner, ROUTER_OUT, &key);
  router_flows_remove(&place.flows, find(0, &key));
  CHECK(owner->recent[ROUTER_IN] == NULL && owner->recent[ROUTER_OUT] == NULL);
  CHECK(router_flow_recent(&place.flows, owner, ROUTER_OUT, &key) == NULL);
  CHECK(router_flow_recent(&place.flows, &place.devices[2], ROUTER_OUT, &other) == NULL);
  close_place();
}

// The key of plain TCP and UDP is that of what all its headers are read of.
static void plain_packets_have_the_same_key(void) {
  for (int protocol = 0; protocol < 256; protocol++)
    for (uint32_t length = 40; length <= 64; length++)
      for (int direction = 0; direction < 2; direction++)
        for (int flags = 0; flags < 32; flags++) {
          uint8_t packet[64] = {0x60, [6] = (uint8_t)protocol, [8] = 0xfd, [23] = 1, [24] = 0xfd, [39] = 2, [40] = 3, 4, 5, 6, [52] = 0x50, [53] = (uint8_t)flags};
          struct router_flow_key plain, key;
          struct dp_tuple tuple;
          if (!router_flow_plain(packet, length, (enum router_direction)direction, &plain)) continue;
          CHECK(protocol == DP_TCP || protocol == DP_UDP);
          CHECK(dp_tuple_read(packet, length, &tuple) && (tuple.flags & (DP_FIN | DP_RST)) == 0);
          CHECK(router_flow_key(&tuple, (enum router_direction)direction, packet + (direction == ROUTER_OUT ? 24 : 8), &key));
          CHECK(router_flow_has(&(struct router_flow){.key = plain}, &key));
        }
  uint8_t good[60] = {0x60, [6] = DP_TCP, [52] = 0x50};
  struct router_flow_key key;
  CHECK(router_flow_plain(good, 60, ROUTER_OUT, &key) && !router_flow_plain(good, 59, ROUTER_OUT, &key));
  good[52] = 0x60;
  CHECK(!router_flow_plain(good, 60, ROUTER_OUT, &key));
}

static void flows_end(void) {
  open_place();
  struct dp_tuple syn = tcp(1000, 80, DP_SYN), back = tcp(80, 1000, DP_ACK), last = tcp(1000, 80, DP_FIN | DP_ACK), last_back = tcp(80, 1000, DP_FIN | DP_ACK);
  struct router_flow_key key = key_to(&syn, ROUTER_OUT, 1);
  send(0, 1);
  place.now += 61 * SECOND;
  CHECK(!has(0, 1));  // nobody has answered
  send(0, 1);
  router_flow_use(find(0, &key), ROUTER_IN, &back, place.now);
  place.now += 7200 * SECOND;
  CHECK(has(0, 1));
  router_flow_use(find(0, &key), ROUTER_OUT, &last, place.now);
  place.now += 60 * SECOND;
  CHECK(has(0, 1));  // half closed
  router_flow_use(find(0, &key), ROUTER_IN, &last_back, place.now);
  place.now += 11 * SECOND;
  router_flows_sweep(&place.flows, &place.devices[0], place.now);
  CHECK(place.flows.count == 0);
  close_place();
}

int main(int count, char **words) {
  if (count > 1) {
    answer_all(words[1]);
    return 0;
  }
  what_is_no_rule_is_refused();
  another_network_is_let_in_by_name();
  machines_have_flows_of_their_own();
  answers_are_of_the_flow();
  a_scanner_loses_its_own();
  a_network_of_scanners_loses_its_own();
  what_is_used_is_kept();
  a_recent_flow_may_go();
  plain_packets_have_the_same_key();
  flows_end();
  puts("ok");
  return 0;
}
