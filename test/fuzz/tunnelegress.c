// libFuzzer: a packet with any virtio header from the TUN, to frames, through the queue and back through the reader. What comes out
// must be whole frames that the far end accepts.
#include "../../native/dataplane/egress.h"
#include "../../native/transport/fq.h"
#include "../../native/dataplane/heartbeat.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

static const uint8_t *input;
static size_t input_length;

ssize_t dp_tun_read(struct dp_tun *tun, struct dp_virtio *virtio, uint8_t *packet, size_t capacity) {
  (void)tun;
  if (input_length <= sizeof *virtio || input_length - sizeof *virtio > capacity) return 0;
  memcpy(virtio, input, sizeof *virtio);
  memcpy(packet, input + sizeof *virtio, input_length - sizeof *virtio);
  return (ssize_t)(input_length - sizeof *virtio);
}

bool dp_tun_write(struct dp_tun *tun, const struct dp_virtio *virtio, struct iovec *parts, int count) {
  (void)tun;
  (void)virtio;
  (void)parts;
  (void)count;
  return true;
}

static void check_frames(enum dp_wire wire, uint8_t *bytes, size_t size) {
  struct dp_frame frame;
  for (size_t at = 0, used = 0; at < size; at += used) {
    enum dp_frame_state state = dp_frame_read(wire, bytes + at, size - at, &frame, &used);
    if (state != DP_FRAME_WHOLE || frame.control) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct dp_counters counters;
  static const uint8_t own[16] = {0};
  uint8_t *out, *taken;
  size_t length = 0;
  uint32_t hash = 0;
  if (size < 1) return 0;
  enum dp_wire wire = (enum dp_wire)(data[0] % 3);
  struct dp_tun tun = {.offload = DP_OFFLOAD_UDP, .counters = &counters};
  struct dp_filter filter = {.any = true, .ipv4 = true};
  struct dp_egress egress = {.tun = &tun, .filter = &filter, .counters = &counters};
  input = data + 1;
  input_length = size - 1;
  dp_heartbeat_is_reply(own, input, (uint32_t)input_length);
  out = malloc(DP_EGRESS_ROOM);
  if (dp_egress_read(&egress, wire, out, &length, &hash) == 1 && length > 0) {
    check_frames(wire, out, length);
    struct dp_pool pool;
    dp_pool_init(&pool, 1 << 20);
    struct dp_fq *fq = dp_fq_new(&counters, &pool);
    taken = malloc(4 * length);
    for (uint64_t i = 0; i < 3; i++) dp_fq_put(fq, out, (uint32_t)length, hash, i * 1000);
    // Late enough that marking begins.
    size_t got = dp_fq_take(fq, taken, length, 4 * length, 400000000);
    got += dp_fq_take(fq, taken + got, 4 * length, 4 * length - got, 900000000);
    check_frames(wire, taken, got);
    dp_fq_free(fq);
    dp_pool_free(&pool);
    free(taken);
  }
  free(out);
  return 0;
}
