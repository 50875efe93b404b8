// What a router's thread knows of addresses and asks about them, and who may use how much of that. Ends with a line "ok", or with what was
// wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/router/lookup/lookups.h"
#include "../check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// node's OpenSSL is not here.
int RAND_bytes(unsigned char *bytes, int length) {
  for (int i = 0; i < length; i++) bytes[i] = (unsigned char)rand();
  return 1;
}

enum { NETWORKS = 3, DEVICES = 12, MICROSECOND = 1000, PACKET = 100 };

struct place {
  struct router_lookups lookups;
  struct router_askers networks[NETWORKS];
  struct router_asker devices[DEVICES];
  struct router_peer *peers[DEVICES];
  uint64_t now;
};

static struct place place;

// Device i is in network i % NETWORKS.
static void open_place_of(uint32_t threads) {
  CHECK(router_lookups_init(&place.lookups, threads));
  place.now = 3600ull * 1000000000;
  for (int i = 0; i < NETWORKS; i++) router_askers_init(&place.lookups, &place.networks[i]);
  for (int i = 0; i < DEVICES; i++) {
    CHECK((place.peers[i] = router_peer_new(NULL, NULL)) != NULL);
    router_asker_join(&place.networks[i % NETWORKS], &place.devices[i], place.peers[i]);
  }
}

static void open_place(void) { open_place_of(1); }

static void close_place(void) {
  for (int i = 0; i < DEVICES; i++) {
    router_asker_leave(&place.lookups, &place.devices[i]);
    router_asker_leave(&place.lookups, &place.devices[i]);
    CHECK(atomic_load(&place.peers[i]->references) == 1);
    router_peer_release(place.peers[i]);
  }
  CHECK(place.lookups.bytes == 0 && place.lookups.table.count == 0 && place.lookups.holders.count == 0 && dp_share_largest(&place.lookups.groups) == NULL);
  router_lookups_free(&place.lookups);
}

static void set_address(uint8_t address[16], uint32_t device, uint32_t number) {
  memset(address, 0, 16);
  dp_put32(address + 8, device);
  dp_put32(address + 12, number);
}

// A packet of the device to an address: true if it waits, or the answer is known.
static bool send(uint32_t device, uint32_t block, uint32_t number, uint32_t size) {
  uint8_t address[16];
  set_address(address, block, number);
  struct router_lookup *lookup = router_lookups_find(&place.lookups, &place.devices[device], address, place.now);
  if (lookup == NULL) return false;
  if (lookup->state >= ROUTER_LOOKUP_NOBODY) return true;
  uint8_t *room = router_lookups_hold(&place.lookups, lookup, &place.devices[device], size);
  if (room != NULL) memset(room, (int)device, size);
  CHECK(place.lookups.bytes <= ROUTER_LOOKUP_BYTES);
  return room != NULL;
}

static uint32_t arrived[DEVICES];

static void answer(const uint8_t address[16]) {
  struct router_lookup *lookup = router_lookups_of(&place.lookups, address);
  struct router_chain held;
  place.lookups.asked--;
  if (lookup == NULL) return;
  router_lookups_settle(lookup, ROUTER_LOOKUP_NOBODY, &held);
  for (struct router_held *each; (each = router_lookups_take(&place.lookups, &held)) != NULL; router_held_free(each))
    for (uint32_t i = 0; i < DEVICES; i++)
      if (each->sender == place.peers[i]) arrived[i]++;
}

// JavaScript answers whatever is asked.
static uint32_t answer_all(void) {
  uint32_t count = 0;
  for (const uint8_t *asked; (asked = router_lookups_next(&place.lookups, place.now)) != NULL; count++) {
    uint8_t address[16];
    memcpy(address, asked, sizeof address);
    CHECK(place.lookups.asked <= ROUTER_LOOKUPS_ASKED);
    answer(address);
  }
  return count;
}

// 20,000 packets a second to nowhere, from one device in each network: everybody else's first packets are all answered.
static void scanners_take_nothing_from_others(void) {
  open_place();
  memset(arrived, 0, sizeof arrived);
  uint32_t sent[DEVICES] = {0}, asked = 0, waiting = 0;
  const uint32_t packets = 100000, scanners = NETWORKS;
  for (uint32_t i = 0; i < packets; i++) {
    for (uint32_t device = 0; device < scanners; device++) send(device, device, i, PACKET);
    for (uint32_t device = scanners; device < DEVICES && i % 400 == 0; device++) {
      CHECK(send(device, device, i, PACKET));
      sent[device]++;
    }
    if (place.devices[0].questions > waiting) waiting = place.devices[0].questions;
    place.now += 50 * MICROSECOND;
    asked += answer_all();
  }
  place.now += 1000 * 1000 * MICROSECOND;
  asked += answer_all();
  for (uint32_t device = scanners; device < DEVICES; device++) CHECK(arrived[device] == sent[device]);
  CHECK(waiting == ROUTER_LOOKUPS_WAITING);
  // What they get is what the others leave, and all of that.
  CHECK(asked >= packets / 10 - 1000 && asked <= packets / 10 + 2 * ROUTER_LOOKUPS_ASKED);
  for (uint32_t device = 0; device < scanners; device++) CHECK(arrived[device] > asked / 5);
  close_place();
}

// Though nobody else asks anything, a device has half of the questions, after half of the burst.
static void a_scanner_alone_has_its_share(void) {
  open_place();
  uint32_t asked = 0, first = 0;
  for (uint32_t i = 0; i < 200; i++) first += send(0, 0, i, PACKET);
  CHECK(first == ROUTER_LOOKUPS_WAITING);
  CHECK(answer_all() == first);
  for (uint32_t i = 0; i < 200; i++) first += send(0, 0, 1000 + i, PACKET);
  CHECK(first == ROUTER_LOOKUPS_ASKED / ROUTER_LOOKUPS_SHARE);
  answer_all();
  for (uint32_t i = 0; i < 40000; i++) {
    send(0, 0, 2000 + i, PACKET);
    place.now += 50 * MICROSECOND;
    asked += answer_all();
  }
  CHECK(asked >= 2000 - 1 && asked <= 2000);
  // What it was answered it may use as often as it likes.
  for (uint32_t i = 0; i < 50; i++) CHECK(send(0, 0, i, PACKET));
  // The others have all of theirs.
  for (uint32_t device = 1; device < DEVICES; device++) CHECK(send(device, device, 1, PACKET));
  CHECK(answer_all() == DEVICES - 1);
  close_place();
}

// It evicts what it has asked for itself, also if all others' was asked for long ago.
static void a_scanner_forgets_its_own(void) {
  open_place();
  uint8_t address[16];
  for (uint32_t device = 1; device < DEVICES; device++)
    for (uint32_t i = 0; i < 20; i++) {
      CHECK(send(device, device, i, PACKET));
      place.now += 1000 * MICROSECOND;
      answer_all();
    }
  for (uint32_t i = 0; i < 50000; i++) {
    send(0, 0, i, PACKET);
    place.now += 1000 * MICROSECOND;
    answer_all();
  }
  set_address(address, 0, 0);
  CHECK(router_lookups_of(&place.lookups, address) == NULL);
  set_address(address, 0, 49990);
  CHECK(router_lookups_of(&place.lookups, address) != NULL);
  for (uint32_t device = 1; device < DEVICES; device++)
    for (uint32_t i = 0; i < 20; i++) {
      set_address(address, device, i);
      struct router_lookup *lookup = router_lookups_of(&place.lookups, address);
      CHECK(lookup != NULL && lookup->state == ROUTER_LOOKUP_NOBODY);
    }
  close_place();
}

// What others use of it stays, too.
static void what_is_used_is_kept(void) {
  open_place();
  uint8_t address[16];
  set_address(address, 0, 1);
  for (uint32_t i = 1; i < 30000; i++) {
    send(0, 0, i, PACKET);
    place.now += 1000 * MICROSECOND;
    answer_all();
    if (i % 100 == 0) CHECK(send(1, 0, 1, PACKET));
    CHECK(router_lookups_of(&place.lookups, address) != NULL);
  }
  close_place();
}

// While JavaScript answers nothing: a device that fills the memory with packets loses them, and nobody else does.
static void held_packets_are_shared_out(void) {
  open_place();
  uint32_t kept = 0;
  memset(arrived, 0, sizeof arrived);
  for (uint32_t device = 1; device < DEVICES; device++) CHECK(send(device, device, 1, 1000));
  for (uint32_t i = 0; i < 100; i++) kept += send(0, 0, i % 10, 60000);
  CHECK(kept > 0);
  for (uint32_t device = 1; device < DEVICES; device++)
    for (uint32_t i = 2; i < 12; i++) CHECK(send(device, device, i, 1000));
  for (uint32_t i = 0; i < 100; i++) send(0, 0, i % 10, 60000);
  answer_all();
  for (uint32_t device = 1; device < DEVICES; device++) CHECK(arrived[device] == 11);
  CHECK(arrived[0] >= 10 && dp_value(&place.peers[0]->drops.queue_full) > 0);
  close_place();
}

// Networks take turns first: many scanners of one network slow down nobody in another.
static void a_network_of_scanners_has_one_turn(void) {
  open_place();
  uint8_t address[16];
  const uint8_t *asked;
  place.lookups.asked_until = place.now;  // no burst is left
  for (uint32_t i = 0; i < 60; i++)
    for (uint32_t device = 0; device < DEVICES; device += NETWORKS) send(device, device, i, PACKET);
  CHECK(send(1, 1, 7, PACKET));
  set_address(address, 1, 7);
  CHECK(router_lookups_next(&place.lookups, place.now) == NULL);
  CHECK(router_lookups_deadline(&place.lookups) == place.now + ROUTER_LOOKUPS_PERIOD);
  place.now += 2 * ROUTER_LOOKUPS_PERIOD;
  asked = router_lookups_next(&place.lookups, place.now);
  CHECK(asked != NULL && memcmp(asked, address, 16) != 0);
  asked = router_lookups_next(&place.lookups, place.now);
  CHECK(asked != NULL && memcmp(asked, address, 16) == 0);
  CHECK(router_lookups_next(&place.lookups, place.now) == NULL);
  close_place();
}

// A question that stands in a scanner's queue is asked in the turn of whoever has the same one and fewer others.
static void a_question_is_asked_for_whoever_waits_least(void) {
  open_place();
  uint8_t address[16];
  place.lookups.asked_until = place.now;
  for (uint32_t i = 0; i < 60; i++) send(0, 0, i, PACKET);
  CHECK(send(1, 0, 59, PACKET));
  CHECK(place.devices[0].questions == 59 && place.devices[1].questions == 1);
  CHECK(send(0, 0, 59, PACKET));
  CHECK(place.devices[1].questions == 1);
  set_address(address, 0, 59);
  place.now += 2 * ROUTER_LOOKUPS_PERIOD;
  router_lookups_next(&place.lookups, place.now);
  const uint8_t *asked = router_lookups_next(&place.lookups, place.now);
  CHECK(asked != NULL && memcmp(asked, address, 16) == 0);
  close_place();
}

static void what_is_not_answered_is_bounded(void) {
  open_place();
  uint32_t asked = 0;
  for (uint32_t i = 0; i < 5000; i++) {
    for (uint32_t device = 0; device < DEVICES; device++) send(device, device, i, PACKET);
    place.now += 500 * MICROSECOND;
    while (router_lookups_next(&place.lookups, place.now) != NULL) asked++;
  }
  CHECK(asked == ROUTER_LOOKUPS_ASKED && place.lookups.asked == ROUTER_LOOKUPS_ASKED);
  CHECK(router_lookups_deadline(&place.lookups) == UINT64_MAX);
  for (int device = 0; device < DEVICES; device++) CHECK(place.devices[device].questions <= ROUTER_LOOKUPS_WAITING);
  close_place();
}

// All threads together ask as often as one would.
static void several_threads_share_what_is_asked(void) {
  open_place_of(4);
  place.lookups.asked_until = place.now;
  CHECK(send(0, 0, 1, PACKET));
  CHECK(router_lookups_deadline(&place.lookups) == place.now + 4 * ROUTER_LOOKUPS_PERIOD);
  CHECK(router_lookups_next(&place.lookups, place.now + 4 * ROUTER_LOOKUPS_PERIOD - 1) == NULL);
  CHECK(router_lookups_next(&place.lookups, place.now + 4 * ROUTER_LOOKUPS_PERIOD) != NULL);
  close_place();
}

// A /64 is forgotten with the device that has it, and with another one that the device gets.
static void a_device_has_one_prefix(void) {
  open_place();
  uint8_t first[16], second[16], device[16], other[16];
  set_address(first, 0, 1);
  set_address(second, 0, 2);
  set_address(device, 9, 1);
  set_address(other, 9, 2);
  CHECK(send(0, 0, 1, PACKET) && send(0, 0, 2, PACKET));
  answer_all();
  struct router_lookup *one = router_lookups_of(&place.lookups, first), *two = router_lookups_of(&place.lookups, second);
  CHECK(memcmp(router_lookup_device(one), first, 16) == 0);
  router_lookups_hold_by(&place.lookups, one, device);
  router_lookups_hold_by(&place.lookups, one, device);
  CHECK(router_lookups_held_by(&place.lookups, device) == one && memcmp(router_lookup_device(one), device, 16) == 0);
  router_lookups_hold_by(&place.lookups, two, device);
  CHECK(router_lookups_of(&place.lookups, first) == NULL && router_lookups_held_by(&place.lookups, device) == two);
  router_lookups_hold_by(&place.lookups, two, other);
  CHECK(router_lookups_held_by(&place.lookups, device) == NULL && router_lookups_held_by(&place.lookups, other) == two);
  router_lookups_forget_holders(&place.lookups);
  CHECK(router_lookups_of(&place.lookups, second) == NULL && place.lookups.table.count == 0);
  close_place();
}

// After changes were missed no answer is true any more; what is asked goes on, with its packets.
static void all_answers_are_forgotten(void) {
  open_place();
  uint8_t address[16], device[16];
  memset(arrived, 0, sizeof arrived);
  for (uint32_t i = 0; i < 64; i++) CHECK(send(i % 4, 0, i, PACKET));
  answer_all();
  set_address(device, 9, 1);
  set_address(address, 0, 5);
  router_lookups_hold_by(&place.lookups, router_lookups_of(&place.lookups, address), device);
  for (uint32_t i = 0; i < 8; i++) CHECK(send(i % 4, 1, i, PACKET));
  const uint8_t *next = router_lookups_next(&place.lookups, place.now);
  CHECK(next != NULL && place.lookups.table.count == 72);
  memcpy(address, next, sizeof address);
  router_lookups_forget_answers(&place.lookups);
  CHECK(place.lookups.table.count == 8 && place.lookups.count == 8 && place.lookups.holders.count == 0);
  CHECK(router_lookups_held_by(&place.lookups, device) == NULL);
  answer(address);
  CHECK(answer_all() == 7);
  for (uint32_t i = 0; i < 4; i++) CHECK(arrived[i] == 16 + 2);
  router_lookups_forget_answers(&place.lookups);
  router_lookups_forget_answers(&place.lookups);
  CHECK(place.lookups.table.count == 0 && place.lookups.bytes == 0);
  close_place();
}

// Devices come and go, addresses are asked, answered and forgotten in any order.
static void whatever_happens_nothing_is_lost(void) {
  open_place();
  for (int step = 0; step < 200000; step++) {
    uint32_t device = (uint32_t)rand() % DEVICES;
    uint8_t address[16];
    set_address(address, (uint32_t)rand() % DEVICES, (uint32_t)rand() % 400);
    struct router_lookup *lookup = router_lookups_of(&place.lookups, address);
    switch (rand() % 10) {
      case 8:
        set_address(address, 99, (uint32_t)rand() % 50);
        if (lookup != NULL) router_lookups_hold_by(&place.lookups, lookup, address);
        break;
      case 9:
        if (step % 100 == 0) router_lookups_forget_holders(&place.lookups);
        if (step % 500 == 0) router_lookups_forget_answers(&place.lookups);
        break;
      case 0: answer_all(); break;
      case 1:
        if (lookup != NULL) router_lookups_forget(&place.lookups, lookup);
        break;
      case 2:
        if (step % 50 == 0) {
          router_asker_leave(&place.lookups, &place.devices[device]);
          router_asker_join(&place.networks[device % NETWORKS], &place.devices[device], place.peers[device]);
        }
        break;
      case 3:
        if (lookup != NULL) {
          struct router_chain held;
          router_lookups_settle(lookup, ROUTER_LOOKUP_DEVICE, &held);
          // One that leaves takes its packets out of the list.
          if (rand() % 4 == 0) {
            router_asker_leave(&place.lookups, &place.devices[device]);
            router_asker_join(&place.networks[device % NETWORKS], &place.devices[device], place.peers[device]);
          }
          for (struct router_held *each; (each = router_lookups_take(&place.lookups, &held)) != NULL;) router_held_free(each);
        }
        break;
      default: send(device, dp_get32(address + 8), dp_get32(address + 12), (uint32_t)rand() % 20000);
    }
    place.now += (uint64_t)rand() % (800 * MICROSECOND);
  }
  close_place();
}

int main(void) {
  scanners_take_nothing_from_others();
  a_scanner_alone_has_its_share();
  a_scanner_forgets_its_own();
  what_is_used_is_kept();
  held_packets_are_shared_out();
  a_network_of_scanners_has_one_turn();
  a_question_is_asked_for_whoever_waits_least();
  what_is_not_answered_is_bounded();
  several_threads_share_what_is_asked();
  a_device_has_one_prefix();
  all_answers_are_forgotten();
  whatever_happens_nothing_is_lost();
  puts("ok");
  return 0;
}
