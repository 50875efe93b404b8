// Links that share a thread's memory, and what is passed on to them. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/transport/link.h"
#include "tlspair.h"

enum { PACKET = 1000, NUMBER = 48, QUEUED = 8 << 20, LINKS = 3, MANY = 3000 };

static struct tlsidentity identity;
static struct dp_counters counters;

// One device: its link, and what its far end has of the stream.
struct device {
  struct tlspair tls;
  struct dp_link link;
  uint8_t bytes[WIRE_FRAME_HEADER_LENGTH + PACKET];
  size_t held;
  uint32_t put, got;  // packets
};

static void open_device(struct device *device, struct dp_workspace *workspace) {
  *device = (struct device){0};
  tlspair_open(&device->tls, &identity);
  dp_link_init(&device->link, device->tls.near, device->tls.fds[0], workspace, &counters);
}

static void close_device(struct device *device) {
  dp_link_free(&device->link);
  tlspair_close(&device->tls);
}

// A device by itself on a thread.
struct alone {
  struct dp_workspace workspace;
  struct device device;
};

static void open_alone(struct alone *alone) {
  CHECK(dp_workspace_init(&alone->workspace, QUEUED));
  open_device(&alone->device, &alone->workspace);
}

static void close_alone(struct alone *alone) {
  close_device(&alone->device);
  CHECK(alone->workspace.pool.held == 0 && alone->workspace.buffers.held == 0);
  dp_workspace_free(&alone->workspace);
}

// An IPv6 UDP packet that says which one it is, with its frame's header before it.
static void make_packet(uint8_t *frame, uint32_t number) {
  memset(frame, 0, WIRE_FRAME_HEADER_LENGTH + PACKET);
  uint8_t *packet = frame + WIRE_FRAME_HEADER_LENGTH;
  dp_put16(frame, PACKET);
  packet[0] = 0x60;
  dp_put16(packet + 4, PACKET - DP_IPV6_HEADER);
  packet[6] = DP_UDP;
  dp_put32(packet + NUMBER, number);
}

static void pass_on(struct device *device, uint64_t now) {
  uint8_t bytes[WIRE_FRAME_HEADER_LENGTH + PACKET];
  struct dp_frame frame = {.packet = bytes + WIRE_FRAME_HEADER_LENGTH, .length = PACKET};
  make_packet(bytes, device->put++);
  dp_link_forward(&device->link, &frame, now);
}

static void flush(struct device *device, uint64_t now) {
  enum dp_status status = dp_link_flush(&device->link, now);
  CHECK(status == DP_DONE || status == DP_BLOCKED);
  CHECK((status == DP_BLOCKED) == device->link.blocked);
}

// Reads at most so many packets; each has to be the one after the last.
static void read_packets(struct device *device, uint32_t most) {
  for (uint32_t i = 0; i < most;) {
    int got = SSL_read(device->tls.far, device->bytes + device->held, (int)(sizeof device->bytes - device->held));
    if (got <= 0) {
      CHECK(SSL_get_error(device->tls.far, got) == SSL_ERROR_WANT_READ);
      return;
    }
    device->held += (size_t)got;
    if (device->held < sizeof device->bytes) continue;
    uint32_t number = dp_get32(device->bytes + WIRE_FRAME_HEADER_LENGTH + NUMBER);
    CHECK(dp_get16(device->bytes) == PACKET && number == device->got);
    device->got++;
    device->held = 0;
    i++;
  }
}

// What the owner of the link does when its socket takes something again: it may look at the link before it flushes it.
static void socket_is_writable(struct device *device) { device->link.blocked = false; }

static void fill(struct device *device) {
  while (!device->link.blocked || device->link.queue == NULL) {
    pass_on(device, 1);
    flush(device, 1);
  }
  CHECK(dp_link_waiting(&device->link));
}

static void drain(struct device *device) {
  while (device->got < device->put) {
    uint32_t before = device->got;
    read_packets(device, MANY);
    socket_is_writable(device);
    flush(device, 1);
    CHECK(device->got > before || !device->link.blocked);
  }
  CHECK(!dp_link_waiting(&device->link));
}

static void nothing_overtakes_what_is_queued(void) {
  struct alone alone;
  struct device *device = &alone.device;
  open_alone(&alone);
  fill(device);
  pass_on(device, 1);
  // What is below TLS has gone out, the queue is still to come.
  while (dp_pipe_waits(device->link.pipe)) {
    read_packets(device, MANY);
    CHECK(dp_pipe_send(device->link.pipe));
  }
  socket_is_writable(device);
  uint32_t queued = device->link.queue->blocks;
  CHECK(queued > 0);
  pass_on(device, 1);
  CHECK(device->link.queue->blocks == queued + 1);
  drain(device);
  // Without anything that waits it is built where it leaves from.
  pass_on(device, 1);
  CHECK(device->link.queue->blocks == 0 && alone.workspace.writer == &device->link);
  flush(device, 1);
  drain(device);
  close_alone(&alone);
}

static void nothing_overtakes_what_waits_below_tls(void) {
  struct alone alone;
  struct device *device = &alone.device;
  open_alone(&alone);
  // One batch is more than the socket takes: its end waits, and nothing is in the queue.
  while (!dp_link_full(&device->link)) pass_on(device, 1);
  flush(device, 1);
  CHECK(device->link.blocked && dp_pipe_waits(device->link.pipe) && device->link.queue == NULL);
  socket_is_writable(device);
  pass_on(device, 1);
  CHECK(device->link.queue != NULL && device->link.queue->blocks == 1);
  drain(device);
  close_alone(&alone);
}

static void more_than_a_batch_keeps_its_order(void) {
  struct alone alone;
  struct device *device = &alone.device;
  open_alone(&alone);
  for (int i = 0; i < 300; i++) pass_on(device, 1);
  CHECK(dp_link_full(&device->link) && device->link.queue != NULL && device->link.queue->blocks > 0);
  flush(device, 1);
  drain(device);
  close_alone(&alone);
}

static void what_is_urgent_stays_before_what_comes_later(void) {
  struct alone alone;
  struct device *device = &alone.device;
  uint8_t urgent[60] = {0x60};
  open_alone(&alone);
  CHECK(dp_link_urgent(&device->link, urgent, sizeof urgent));
  pass_on(device, 1);
  flush(device, 1);
  uint8_t first[WIRE_FRAME_HEADER_LENGTH + sizeof urgent];
  CHECK(SSL_read(device->tls.far, first, sizeof first) == (int)sizeof first && dp_get16(first) == sizeof urgent);
  CHECK(memcmp(first + WIRE_FRAME_HEADER_LENGTH, urgent, sizeof urgent) == 0);
  drain(device);
  close_alone(&alone);
}

static int largest_record(int unsent, bool small_records) {
  static uint8_t bytes[16384];
  struct alone alone;
  struct device *device = &alone.device;
  int largest = 0, total = 0;
  open_alone(&alone);
  device->link.pace.unsent = unsent;
  device->link.small_records = small_records;
  for (int i = 0; i < 12; i++) pass_on(device, 1);
  flush(device, 1);
  while (total < 12 * (int)sizeof device->bytes) {
    int got = SSL_read(device->tls.far, bytes, sizeof bytes);
    CHECK(got > 0);
    total += got;
    if (got > largest) largest = got;
  }
  close_alone(&alone);
  return largest;
}

// A C peer waits for the whole record before it does anything else.
static void records_are_small_for_who_waits_on_a_slow_path(void) {
  CHECK(largest_record(8192, true) <= 4096);
  CHECK(largest_record(8192, false) > 4096);
  CHECK(largest_record(131072, true) > 4096);
}

static bool on_packet(void *owner, struct dp_frame *frame) {
  uint32_t *received = owner;
  CHECK(frame->length == PACKET && dp_get32(frame->packet + NUMBER) == *received);
  ++*received;
  return true;
}

static void on_end(void *owner) { (void)owner; }

// The socket tells of none of them but the first: what was read with it must not wait for what comes next.
static void records_that_came_together_are_read_together(void) {
  struct alone alone;
  struct device *device = &alone.device;
  uint32_t received = 0;
  struct dp_sink sink = {&received, on_packet, on_end};
  open_alone(&alone);
  for (uint32_t total = 0, count = 1; count < 6; count++) {
    for (uint32_t i = 0; i < count; i++) {
      make_packet(device->bytes, total++);
      CHECK(SSL_write(device->tls.far, device->bytes, sizeof device->bytes) == (int)sizeof device->bytes);
    }
    CHECK(dp_link_receive(&device->link, &sink, 1) == DP_DONE && received == total);
    CHECK(!dp_pipe_has_more(device->link.pipe));
  }
  CHECK(dp_link_receive(&device->link, &sink, 1) == DP_DONE && received == 15);
  close_alone(&alone);
}

// Each has what is its own, in order, however they take turns with the memory, and whoever reads slowly.
static bool no_packet(void *owner, struct dp_frame *frame) {
  (void)owner;
  (void)frame;
  return false;
}

static void at_end(void *owner) { (void)owner; }

// What a connection needs besides takes nothing from the queues: half a frame that stays one, and records that the socket did not take.
static void buffers_leave_the_queues_their_memory(void) {
  enum { PART = 700 };
  struct alone alone;
  struct device *device = &alone.device;
  const struct dp_sink sink = {NULL, no_packet, at_end};
  uint8_t bytes[WIRE_FRAME_HEADER_LENGTH + PACKET];
  open_alone(&alone);
  make_packet(bytes, 0);
  CHECK(SSL_write(device->tls.far, bytes, PART) == PART);
  CHECK(dp_link_receive(&device->link, &sink, 1) == DP_DONE);
  CHECK(device->link.carry_length == PART && alone.workspace.pool.held == 0 && alone.workspace.buffers.held >= PART);
  fill(device);
  CHECK(dp_pipe_waits(device->link.pipe) && alone.workspace.buffers.held > PART);
  CHECK(alone.workspace.pool.held == device->link.queue->bytes + device->link.queue->blocks * sizeof(struct dp_fq_block));
  drain(device);
  close_alone(&alone);
}

static void many_share_the_memory(void) {
  struct dp_workspace workspace;
  struct device devices[LINKS];
  CHECK(dp_workspace_init(&workspace, QUEUED));
  for (int i = 0; i < LINKS; i++) open_device(&devices[i], &workspace);
  uint32_t dice = 1, direct = 0;
  for (uint32_t turn = 0; turn < MANY; turn++) {
    dice = dice * 1664525 + 1013904223;
    struct device *device = &devices[(dice >> 16) % LINKS];
    for (uint32_t i = 0; i < (dice >> 24) % 11; i++) {
      pass_on(device, 1);
      direct += workspace.writer == &device->link;
    }
    if ((dice >> 8) % 3 == 0) flush(device, 1);
    if ((dice >> 10) % 2 == 0) {
      read_packets(device, 15);
      socket_is_writable(device);
    }
    if ((dice >> 12) % 5 == 0) flush(&devices[turn % LINKS], 1);
  }
  CHECK(direct > MANY && dp_value(&counters.out_overflow) == 0);
  for (int i = 0; i < LINKS; i++) {
    drain(&devices[i]);
    CHECK(devices[i].got > MANY);
    close_device(&devices[i]);
  }
  CHECK(workspace.pool.held == 0 && workspace.buffers.held == 0);
  dp_workspace_free(&workspace);
}

int main(void) {
  identity = tlspair_identity();
  nothing_overtakes_what_is_queued();
  nothing_overtakes_what_waits_below_tls();
  more_than_a_batch_keeps_its_order();
  what_is_urgent_stays_before_what_comes_later();
  records_are_small_for_who_waits_on_a_slow_path();
  records_that_came_together_are_read_together();
  buffers_leave_the_queues_their_memory();
  many_share_the_memory();
  tlspair_forget(&identity);
  puts("ok");
  return 0;
}
