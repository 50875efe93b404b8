#include "ingress.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/segment.h"

void dp_ingress_init(struct dp_ingress *ingress, struct dp_tun *tun, const struct dp_filter *filter) {
  ingress->tun = tun;
  ingress->filter = filter;
  ingress->counters = tun->counters;
  ingress->gro.tun = tun;
  ingress->gro.used = 0;
}

static bool kernel_takes(const struct dp_ingress *ingress, const struct dp_frame *frame) {
  if (frame->gso == DP_GSO_UDP) return ingress->tun->offload == DP_OFFLOAD_UDP;
  return ingress->tun->offload != DP_OFFLOAD_NONE || !frame->partial;
}

static void write_segments(struct dp_ingress *ingress, const uint8_t *frames, size_t size) {
  for (size_t offset = 0; offset + WIRE_FRAME_HEADER_LENGTH <= size;) {
    uint16_t length = dp_get16(frames + offset);
    struct dp_frame segment = {.packet = (uint8_t *)frames + offset + WIRE_FRAME_HEADER_LENGTH, .length = length};
    dp_gro_write(ingress->tun, &segment);
    offset += (size_t)WIRE_FRAME_HEADER_LENGTH + length;
  }
}

// Segments the packet, or completes its checksum, where the TUN cannot.
static void write_plainly(struct dp_ingress *ingress, struct dp_frame *frame) {
  if (frame->gso == DP_GSO_NONE) {
    if (frame->partial) {
      uint16_t offset = dp_checksum_offset(frame->headers.protocol);
      dp_checksum_complete(frame->packet, frame->length, frame->headers.transport, offset);
    }
    frame->partial = false;
    dp_gro_write(ingress->tun, frame);
    return;
  }
  uint8_t cut[2 * 65536];
  uint32_t count;
  size_t size = dp_segment(frame->packet, frame->length, &frame->headers, frame->segment, cut, sizeof cut, &count);
  if (size == 0) dp_add(&ingress->counters->in_refused, 1);
  write_segments(ingress, cut, size);
}

void dp_ingress_take(struct dp_ingress *ingress, struct dp_frame *frame) {
  switch (dp_ingress(ingress->filter, frame->packet, frame->length)) {
    case DP_MALFORMED: dp_add(&ingress->counters->in_malformed, 1); return;
    case DP_FOREIGN: dp_add(&ingress->counters->in_foreign, 1); return;
    case DP_PASS: break;
  }
  if (!kernel_takes(ingress, frame)) {
    dp_gro_flush(&ingress->gro);
    write_plainly(ingress, frame);
  } else if (frame->gso != DP_GSO_NONE) {
    dp_gro_flush(&ingress->gro);
    dp_gro_write(ingress->tun, frame);
  } else {
    dp_gro_take(&ingress->gro, frame);
  }
}

void dp_ingress_flush(struct dp_ingress *ingress) { dp_gro_flush(&ingress->gro); }
