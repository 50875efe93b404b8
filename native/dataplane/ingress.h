// Frames of the peer to packets for the TUN: filtered, joined (GRO) where the TUN offloads, segmented and with complete checksums where
// it does not.
#pragma once
#include "gro.h"

struct dp_ingress {
  struct dp_tun *tun;
  const struct dp_filter *filter;
  struct dp_counters *counters;
  struct dp_gro gro;
};

void dp_ingress_init(struct dp_ingress *ingress, struct dp_tun *tun, const struct dp_filter *filter);
// Takes the packet of a frame; it may be kept, so its memory must stay until the flush.
void dp_ingress_take(struct dp_ingress *ingress, struct dp_frame *frame);
// To be called whenever a batch that was read ends, so that nothing is delayed.
void dp_ingress_flush(struct dp_ingress *ingress);
