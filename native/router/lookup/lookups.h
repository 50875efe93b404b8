// What one thread knows of addresses without a route, and of /64s behind devices that have none; which of them it has to ask JavaScript about, and
// the packets that wait for the answers. Devices share that: the memory in equal shares, networks first (transport/shares.h), and the questions in
// turns, networks first. So one that scans addresses evicts what it has asked for itself, its questions wait behind each other, and it has no more than
// half of what the thread may ask.
#pragma once
#include "chain.h"
#include "router/addresstable.h"
#include "router/peer.h"
#include "transport/shares.h"

enum {
  ROUTER_LOOKUP_BYTES = 1 << 20,      // in all
  ROUTER_LOOKUPS_WAITING = 64,        // questions that may wait for one device
  ROUTER_LOOKUPS_ASKED = 200,         // that JavaScript has not answered
  ROUTER_LOOKUPS_PERIOD = 500000,     // nanoseconds between questions of a router, after a burst of ROUTER_LOOKUPS_ASKED of each thread
  ROUTER_LOOKUPS_SHARE = 2,           // a device asks so many times less often, after a burst as much smaller
};

struct router_lookups {
  struct router_addresstable table;
  struct router_addresstable holders;  // by the devices that have them: the lookups of /64s
  struct dp_ranking groups;
  struct router_chain waiting;  // groups with questions, by turn
  uint64_t period;              // nanoseconds between questions: all threads ask the same JavaScript
  uint64_t bytes, asked_until;  // asked_until: token bucket as a time, as `reports_until`
  uint32_t asked;
  _Atomic uint32_t count;  // written by the thread alone; the main thread reads it
};

// The devices of one network.
struct router_askers {
  struct dp_group group;
  struct router_chain turn, waiting;  // waiting: askers with questions, by turn
};

// One device.
struct router_asker {
  struct dp_share share;
  struct router_askers *group;
  struct router_peer *peer;
  struct router_chain turn, waiting;  // waiting: its questions, oldest first
  struct router_chain lookups, held;  // lookups: least recently used first; held: its packets, oldest first
  uint32_t questions;
  uint64_t asked_until;  // of its share, as that of all
};

enum router_lookup_state { ROUTER_LOOKUP_WAITING, ROUTER_LOOKUP_ASKED, ROUTER_LOOKUP_NOBODY, ROUTER_LOOKUP_DEVICE };

struct router_lookup {
  struct router_addresstable_entry entry;   // a /64 by its first address
  struct router_addresstable_entry holder;  // of a /64 once it is known: the device that has it
  bool held_by_device;
  enum router_lookup_state state;
  uint32_t group;  // of the device, once that is known; 0: none
  struct router_asker *asker;         // whose share it is in
  struct router_chain used, question;
  struct router_chain held;
};

// A packet that waits for an answer.
struct router_held {
  struct router_chain in_lookup, of_asker;
  struct router_asker *asker;
  struct router_peer *sender;  // a reference
  uint32_t length;
  uint8_t bytes[];  // a frame
};

// For one of so many threads. False without memory.
bool router_lookups_init(struct router_lookups *lookups, uint32_t threads);
// All askers must have left.
void router_lookups_free(struct router_lookups *lookups);
void router_askers_init(struct router_lookups *lookups, struct router_askers *group);
// `peer` has to stay until the asker leaves.
void router_asker_join(struct router_askers *group, struct router_asker *asker, struct router_peer *peer);
// Forgets what it has asked for, and drops its packets. Nothing if it has not joined.
void router_asker_leave(struct router_lookups *lookups, struct router_asker *asker);

// What is known of the address, or a lookup with a question that waits. NULL if too many of the asker's do, if it asks too often, or without memory.
struct router_lookup *router_lookups_find(struct router_lookups *lookups, struct router_asker *asker, const uint8_t address[16], uint64_t now);
// Room for a packet that waits with the lookup, which is not answered; whoever holds most may lose something for it. NULL if that would be
// this lookup, or without memory.
uint8_t *router_lookups_hold(struct router_lookups *lookups, struct router_lookup *lookup, struct router_asker *asker, uint32_t length);
// The address to ask about now, which counts as asked; NULL if none waits or it is too soon.
const uint8_t *router_lookups_next(struct router_lookups *lookups, uint64_t now);
// When router_lookups_next() is to be called again; UINT64_MAX: not before there is an answer or a question.
uint64_t router_lookups_deadline(const struct router_lookups *lookups);
// The lookup for an address, without asking; NULL if there is none.
struct router_lookup *router_lookups_of(struct router_lookups *lookups, const uint8_t address[16]);
// Its answer is known now. Its packets are moved to `held`, a head.
void router_lookups_settle(struct router_lookup *lookup, enum router_lookup_state answer, struct router_chain *held);
// The oldest of those packets, whose sender and memory are the caller's: router_held_free(). NULL if there are no more. An asker
// that leaves meanwhile takes its packets out of the list.
struct router_held *router_lookups_take(struct router_lookups *lookups, struct router_chain *held);
void router_held_free(struct router_held *held);
// It is a /64, which this device has. If another one was the device's, that is forgotten: a device has one at a time.
void router_lookups_hold_by(struct router_lookups *lookups, struct router_lookup *lookup, const uint8_t device[16]);
// The /64 of the device; NULL if that is not known.
struct router_lookup *router_lookups_held_by(struct router_lookups *lookups, const uint8_t device[16]);
// Forgets whose all /64s are.
void router_lookups_forget_holders(struct router_lookups *lookups);
// Forgets all answers: some thousand at most, as ROUTER_LOOKUP_BYTES has room for. What is asked goes on.
void router_lookups_forget_answers(struct router_lookups *lookups);
// The device that has the address, or the /64.
static inline const uint8_t *router_lookup_device(const struct router_lookup *lookup) {
  return lookup->held_by_device ? lookup->holder.address : lookup->entry.address;
}
// Drops its packets.
void router_lookups_forget(struct router_lookups *lookups, struct router_lookup *lookup);
