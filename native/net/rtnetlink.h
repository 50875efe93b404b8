// Routes to single addresses and prefixes through one device, in a table and with a protocol number of their own (rtnetlink(7)). The kernel works inside
// sendmsg(), under its lock for all network configuration: none of this is for a thread that must not wait.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RT_BATCH = 128,  // messages in one send: three times as fast as one in each
  RT_ENTRY = 24,   // bytes of a route as JavaScript packs it
};

struct rt_table {
  int fd;
  uint32_t port;   // the socket's, which the kernel's notifications name
  uint32_t sequence;
  uint32_t device;  // index
  uint32_t table;
  uint8_t protocol;
};

// A route. The metric is part of what identifies it: one to the same destination with another metric is another route.
struct rt_route {
  uint8_t address[16];
  uint8_t length;
  bool remove;
  uint32_t metric;
  // Of a route that the kernel has: the device it leads through, 0: none or several, and its type.
  uint32_t device;
  uint8_t type;
};

// 0 or an errno.
int rt_open(struct rt_table *table);
void rt_close(struct rt_table *table);

// A route as it is packed: the address, the length, 1 if it is to be removed, two bytes of 0, and the metric in the machine's byte order. False if it is none.
bool rt_read(const uint8_t entry[RT_ENTRY], struct rt_route *route);

// Adds, replaces or removes routes, in their order. `outcomes` has an errno for each, 0 if it is as it should be: removing what is not there is no error.
// 0, or an errno if the kernel did not answer: then no outcome is known.
int rt_change(struct rt_table *table, const struct rt_route *routes, size_t count, uint8_t *outcomes);

struct rt_reconciled {
  uint32_t added, removed, failed;
  int error;  // of the first that failed
};
// Makes the table have `wanted` (sorted here), and no other route with this protocol number. 0 or an errno.
int rt_reconcile(struct rt_table *table, struct rt_route *wanted, size_t count, struct rt_reconciled *done);
