// Whether the rate limits of a device let a packet pass (docs/rules.md, "Rate limits"). The device's own thread asks them in both directions, with the
// clock of the batch at hand.
#include "router.h"

// What fits into an empty bucket however low the rate is: the first window of a TCP connection.
enum { LEAST_PACKETS = 16, LEAST_BYTES = 24000 };

void router_take_rates(struct router_thread *thread, uint32_t network, struct router_rates *rates) {
  struct router_tenant *tenant = router_tenant(thread, network);
  if (tenant == NULL) return;
  router_rates_release(tenant->rates);
  tenant->rates = router_rates_keep(rates);
  tenant->rated++;
}

// Has the device's meters go by the newest limits.
static void renew(struct router_connection *device, uint64_t now) {
  struct router_rate rates[2];
  router_rates_find(device->tenant->rates, device->group, device->own.own, rates);
  for (int direction = 0; direction < 2; direction++) {
    router_meter_set(&device->meters[direction].packets, rates[direction].packets, LEAST_PACKETS, now);
    router_meter_set(&device->meters[direction].bytes, rates[direction].bytes, LEAST_BYTES, now);
  }
  device->rated = device->tenant->rated;
}

bool router_use_rates(struct router_connection *device, enum router_direction direction, const struct dp_frame *frame, uint64_t now) {
  if (device->rated != device->tenant->rated) renew(device, now);
  struct router_meters *meters = &device->meters[direction];
  if (meters->packets.rate == 0 && meters->bytes.rate == 0) return true;
  // A burst costs what its packets would cost one by one: each has headers of its own.
  uint32_t packets = dp_segments(frame), bytes = frame->length + (packets - 1) * frame->headers.length;
  bool open = router_meter_open(&meters->packets, now) && router_meter_open(&meters->bytes, now);
  if (!open) {
    dp_add(&device->peer->drops.limited, packets);
    return false;
  }
  router_meter_take(&meters->packets, packets);
  router_meter_take(&meters->bytes, bytes);
  return true;
}
