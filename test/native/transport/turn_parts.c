// What one peer may cost its thread at a time, by a clock and an allocator of our own. Ends with a line "ok", or with what was wrong.
#include "../../../native/packet/bytes.h"
#include "../../../native/transport/link.h"
#include "tlspair.h"
#include <malloc.h>
#include <time.h>

enum { QUEUED = 8 << 20, PACKET = 60, FRAME = WIRE_FRAME_HEADER_LENGTH + PACKET };
static const uint64_t MINUTE = 60000000000;

static struct tlsidentity identity;
static struct dp_counters counters;
static uint8_t room[DP_PIPE_ROOM];

// The clock stands, or goes on by so much with each look.
static uint64_t clock_now = 1000 * 1000000000ull, clock_step;

int __wrap_clock_gettime(clockid_t id, struct timespec *time) {
  (void)id;
  clock_now += clock_step;
  *time = (struct timespec){(time_t)(clock_now / 1000000000), (long)(clock_now % 1000000000)};
  return 0;
}

void *__real_malloc(size_t size);
static size_t failing;  // requests of so much and more

void *__wrap_malloc(size_t size) { return failing > 0 && size >= failing ? NULL : __real_malloc(size); }

// OpenSSL's memory: how many blocks of the size of a record were allocated, and how many there are.
static uint32_t record_blocks, record_blocks_held;

static bool is_record_block(const void *memory) {
  size_t size = memory == NULL ? 0 : malloc_usable_size((void *)memory);
  return size >= 16384 && size < 2 * 16384;
}

static void *allocate(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  void *memory = size == 0 ? NULL : __real_malloc(size);
  record_blocks += is_record_block(memory);
  record_blocks_held += is_record_block(memory);
  return memory;
}

static void *reallocate(void *memory, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return realloc(memory, size);
}

static void release(void *memory, const char *file, int line) {
  (void)file;
  (void)line;
  record_blocks_held -= is_record_block(memory);
  free(memory);
}

// Before the pipe's own constructor, which allocates.
__attribute__((constructor(101))) static void count_record_blocks(void) {
  CHECK(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1);
}

struct device {
  struct tlspair tls;
  struct dp_pool far_pool;
  struct dp_workspace *workspace;
  struct dp_link link;
  uint32_t sent, received, ends;
};

static void open_device(struct device *device, struct dp_workspace *workspace) {
  *device = (struct device){.workspace = workspace};
  tlspair_open(&device->tls, &identity);
  // As dp_tls_prepare() has it.
  SSL_clear_mode(device->tls.near, SSL_MODE_AUTO_RETRY);
  // As the router has it.
  SSL_set_mode(device->tls.near, SSL_MODE_RELEASE_BUFFERS);
  dp_pool_init(&device->far_pool, 0);
  dp_pipe_hold(dp_pipe_of(device->tls.far), &device->far_pool);
  dp_link_init(&device->link, device->tls.near, device->tls.fds[0], workspace, &counters);
}

static void close_device(struct device *device) {
  dp_link_free(&device->link);
  dp_pipe_release(dp_pipe_of(device->tls.far));
  dp_pool_free(&device->far_pool);
  tlspair_close(&device->tls);
}

static void collect(struct device *device) { dp_pipe_collect(dp_pipe_of(device->tls.far), room); }

static void send_collected(struct device *device) {
  CHECK(dp_pipe_send(dp_pipe_of(device->tls.far)) && !dp_pipe_waits(dp_pipe_of(device->tls.far)));
}

static void write_far(struct device *device, const void *bytes, size_t length) {
  CHECK(SSL_write(device->tls.far, bytes, (int)length) == (int)length);
}

// An IPv6 packet that says which one it is.
static void make_frame(struct device *device, uint8_t frame[FRAME]) {
  memset(frame, 0, FRAME);
  dp_put16(frame, PACKET);
  frame[2] = 0x60;
  dp_put16(frame + 2 + 4, PACKET - DP_IPV6_HEADER);
  dp_put32(frame + 2 + 48, device->sent++);
}

static void update_keys(struct device *device) {
  CHECK(SSL_key_update(device->tls.far, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(device->tls.far) == 1);
}

static bool on_packet(void *owner, struct dp_frame *frame) {
  struct device *device = owner;
  CHECK(frame->length == PACKET && dp_get32(frame->packet + 48) == device->received);
  device->received++;
  return true;
}

static void on_end(void *owner) { ((struct device *)owner)->ends++; }

static enum dp_status receive(struct device *device) {
  struct dp_sink sink = {device, on_packet, on_end};
  return dp_link_receive(&device->link, &sink, clock_now);
}

static uint64_t records(void) { return dp_value(&counters.received_records); }

static void a_turn_has_a_number_of_records(struct device *device) {
  uint8_t frame[FRAME];
  uint64_t before = records();
  uint32_t turns = 0;
  enum dp_status status = DP_AGAIN;
  collect(device);
  for (int i = 0; i < 40; i++) {
    make_frame(device, frame);
    for (int k = 0; k < FRAME; k++) write_far(device, frame + k, 1);
  }
  send_collected(device);
  for (; status == DP_AGAIN; turns++) {
    uint64_t now = records();
    status = receive(device);
    CHECK(records() - now <= DP_TURN_RECORDS && (status == DP_AGAIN || status == DP_DONE));
  }
  CHECK(device->received == device->sent && records() - before == 40 * FRAME && turns >= 40 * FRAME / DP_TURN_RECORDS);
}

// What OpenSSL may have ends with the record that is begun before.
static void openssl_has_what_it_is_allowed(struct device *device) {
  enum { BYTES = 400, RECORDS = 20 };
  struct dp_pipe *pipe = device->link.pipe;
  uint8_t bytes[BYTES] = {0};
  collect(device);
  for (int i = 0; i < RECORDS; i++) write_far(device, bytes, BYTES);
  send_collected(device);
  struct {
    uint32_t records;
    size_t bytes;
    uint64_t until;
    int most;
  } allowances[] = {{3, SIZE_MAX, UINT64_MAX, 3}, {100, 2 * BYTES + 100, UINT64_MAX, 3}, {0, SIZE_MAX, UINT64_MAX, 0}, {8, SIZE_MAX, clock_now, 0},
                    {100, SIZE_MAX, UINT64_MAX, RECORDS - 6}};
  for (size_t i = 0; i < sizeof allowances / sizeof *allowances; i++) {
    int records = 0;
    dp_pipe_allow(pipe, allowances[i].records, allowances[i].bytes, allowances[i].until);
    while (SSL_read(device->tls.near, bytes, BYTES) == BYTES) records++;
    CHECK(SSL_want_read(device->tls.near) && records == allowances[i].most);
    bool last = i + 1 == sizeof allowances / sizeof *allowances;
    CHECK(dp_pipe_is_spent(pipe) == !last && dp_pipe_is_starved(pipe) == last);
  }
  ERR_clear_error();
}

// By a clock that goes on with each look, frames are left for the next turn, and so is how the connection ended.
static void a_turn_has_its_time(struct device *device, enum dp_status ends) {
  enum { FRAMES = 16384 / FRAME, ALL = 3 * FRAMES };
  static uint8_t frames[FRAMES * FRAME];
  static const uint8_t nonsense[60] = {23, 3, 3, 0, 55};
  uint32_t turns = 0;
  enum dp_status status = DP_AGAIN;
  collect(device);
  for (int i = 0; i < ALL / FRAMES; i++) {
    for (int at = 0; at < (int)sizeof frames; at += FRAME) make_frame(device, frames + at);
    write_far(device, frames, sizeof frames);
  }
  if (ends == DP_CLOSED) CHECK(SSL_shutdown(device->tls.far) == 0);
  send_collected(device);
  if (ends == DP_BROKEN) CHECK(send(device->tls.fds[1], nonsense, sizeof nonsense, 0) == (ssize_t)sizeof nonsense);
  clock_step = DP_TURN_NS / 8;
  for (; status == DP_AGAIN; turns++) {
    uint32_t before = device->received;
    status = receive(device);
    CHECK(device->received - before <= 9 * DP_TURN_PACKETS && (status == DP_AGAIN || status == ends));
  }
  clock_step = 0;
  CHECK(status == ends && device->received == ALL && turns > ALL / (9 * DP_TURN_PACKETS));
  if (ends == DP_BROKEN) CHECK(strstr(device->link.reason, "bad record mac") != NULL);
}

// A sink that uses the first packet of a batch until that ends, and a far end that sends one more record for each that was read.
struct stream {
  struct device *device;
  uint32_t records, begins;  // left to be sent; the number of the batch's first packet
  const uint8_t *first;
};

static void send_record(struct stream *stream) {
  static uint8_t frames[16384 / FRAME * FRAME];
  if (stream->records == 0) return;
  stream->records--;
  for (int at = 0; at < (int)sizeof frames; at += FRAME) make_frame(stream->device, frames + at);
  write_far(stream->device, frames, sizeof frames);
  CHECK(!dp_pipe_waits(dp_pipe_of(stream->device->tls.far)));
}

static bool on_packet_of_stream(void *owner, struct dp_frame *frame) {
  struct stream *stream = owner;
  if (stream->first == NULL) {
    stream->first = frame->packet;
    stream->begins = stream->device->received;
  }
  on_packet(stream->device, frame);
  if (stream->device->received % (16384 / FRAME) == 0) send_record(stream);
  return true;
}

static void on_end_of_stream(void *owner) {
  struct stream *stream = owner;
  CHECK(stream->first != NULL && dp_get32(stream->first + 48) == stream->begins);
  stream->first = NULL;
  on_end(stream->device);
}

// What a peer has sent is one batch, as far as the thread's memory holds it: the sink joins packets of one batch.
static void a_batch_is_as_large_as_the_memory(struct device *device) {
  enum { AT_FIRST = 10, IN_MEMORY = DP_IN_BYTES / 16384, MORE = 4 };
  struct stream stream = {device, IN_MEMORY + MORE, 0, NULL};
  struct dp_sink sink = {&stream, on_packet_of_stream, on_end_of_stream};
  for (int i = 0; i < AT_FIRST; i++) send_record(&stream);
  CHECK(dp_link_receive(&device->link, &sink, clock_now) == DP_DONE);
  CHECK(stream.records == 0 && device->received == device->sent && device->ends == 2);
}

// The buffer of OpenSSL's that a record needs serves those behind it, too. A connection that has nothing to read or send has none.
static void buffers_serve_all_records_that_are_there(struct device *device) {
  enum { RECORDS = 6, FRAMES = 16384 / FRAME };
  static uint8_t frames[FRAMES * FRAME];
  uint8_t frame[FRAME];
  // What the handshake has left.
  make_frame(device, frame);
  write_far(device, frame, FRAME);
  CHECK(receive(device) == DP_DONE && receive(device) == DP_DONE);
  for (int turn = 0; turn < 2; turn++) {
    collect(device);
    for (int i = 0; i < RECORDS; i++) {
      for (int at = 0; at < (int)sizeof frames; at += FRAME) make_frame(device, frames + at);
      write_far(device, frames, sizeof frames);
    }
    // After a short one the socket is not asked for more.
    make_frame(device, frame);
    if (turn == 1) write_far(device, frame, FRAME);
    else device->sent--;
    send_collected(device);
    uint32_t before = record_blocks, held = record_blocks_held;
    CHECK(receive(device) == DP_DONE && device->received == device->sent);
    CHECK(record_blocks - before <= RECORDS / 2 && record_blocks_held == held);
  }
}

static void a_turn_has_its_time_until_it_closes(struct device *device) { a_turn_has_its_time(device, DP_CLOSED); }

static void a_turn_has_its_time_until_it_breaks(struct device *device) { a_turn_has_its_time(device, DP_BROKEN); }

// Behind a message of TLS OpenSSL says that it wants to read, although there is more.
static void data_behind_a_key_update_is_read(struct device *device) {
  uint8_t frame[FRAME];
  collect(device);
  for (int i = 0; i < 10; i++) {
    update_keys(device);
    make_frame(device, frame);
    write_far(device, frame, FRAME);
  }
  send_collected(device);
  enum dp_status status = receive(device);
  while (status == DP_AGAIN) status = receive(device);
  CHECK(status == DP_DONE && device->received == device->sent);
  clock_now += MINUTE;
}

static void key_updates_have_a_rate(struct device *device) {
  enum dp_status status = DP_AGAIN;
  for (int minute = 0; minute < 3; minute++, clock_now += MINUTE) {
    collect(device);
    for (int i = 0; i < DP_MESSAGES; i++) update_keys(device);
    send_collected(device);
    for (status = DP_AGAIN; status == DP_AGAIN;) status = receive(device);
    CHECK(status == DP_DONE);
  }
  clock_now -= MINUTE / 2;
  collect(device);
  for (int i = 0; i < DP_MESSAGES; i++) update_keys(device);
  send_collected(device);
  for (status = DP_AGAIN; status == DP_AGAIN;) status = receive(device);
  CHECK(status == DP_BROKEN && strcmp(device->link.reason, "more than 60 TLS messages in a minute") == 0);
}

static void pass_on(struct device *device) {
  uint8_t bytes[FRAME];
  struct dp_frame frame = {.packet = bytes + WIRE_FRAME_HEADER_LENGTH, .length = PACKET};
  make_frame(device, bytes);
  dp_link_forward(&device->link, &frame, clock_now);
}

static void flush(struct device *device, enum dp_status expected) { CHECK(dp_link_flush(&device->link, clock_now) == expected); }

// Reads what has arrived at the far end: whole frames of this device alone.
static uint32_t read_far(struct device *device, uint32_t next) {
  uint8_t frame[FRAME];
  while (SSL_read(device->tls.far, frame, FRAME) == FRAME) CHECK(dp_get16(frame) == PACKET && dp_get32(frame + 2 + 48) == next++);
  ERR_clear_error();
  return next;
}

// The first one's bytes cannot be moved out of the memory that the second one needs: the first one ends, and nothing of another one's is sent
// to it.
static void without_memory_a_link_ends(struct device *first, struct device *second) {
  uint32_t before = second->sent;
  for (int i = 0; i < 10; i++) pass_on(first);
  CHECK(first->workspace->writer == &first->link);
  failing = 1;
  CHECK(dp_link_urgent(&second->link, (const uint8_t[]){0xf2, 1}, 2));
  flush(second, DP_DONE);
  CHECK(first->link.lost && dp_link_waiting(&first->link) && !dp_link_full(&first->link));
  for (int i = 0; i < 10; i++) pass_on(second);
  pass_on(first);
  CHECK(first->workspace->writer == &second->link && !dp_link_room(&first->link, &(size_t){0}));
  flush(first, DP_BROKEN);
  CHECK(strcmp(first->link.reason, "out of memory") == 0 && receive(first) == DP_BROKEN);
  flush(second, DP_DONE);
  failing = 0;
  uint8_t urgent[4];
  CHECK(SSL_read(second->tls.far, urgent, sizeof urgent) == (int)sizeof urgent);
  CHECK(read_far(second, before) == second->sent && read_far(first, 0) == 0);
}

static void with_memory_it_goes_on(struct device *first, struct device *second) {
  for (int i = 0; i < 10; i++) pass_on(first);
  CHECK(dp_link_urgent(&second->link, (const uint8_t[]){0xf2, 1}, 2));
  flush(second, DP_DONE);
  flush(first, DP_DONE);
  CHECK(read_far(first, 0) == 10);
}

static void alone(void (*test)(struct device *)) {
  struct dp_workspace workspace;
  struct device device;
  CHECK(dp_workspace_init(&workspace, QUEUED));
  open_device(&device, &workspace);
  test(&device);
  close_device(&device);
  CHECK(workspace.pool.held == 0);
  dp_workspace_free(&workspace);
}

static void together(void (*test)(struct device *, struct device *)) {
  struct dp_workspace workspace;
  struct device first, second;
  CHECK(dp_workspace_init(&workspace, QUEUED));
  open_device(&first, &workspace);
  open_device(&second, &workspace);
  test(&first, &second);
  close_device(&first);
  close_device(&second);
  CHECK(workspace.pool.held == 0);
  dp_workspace_free(&workspace);
}

int main(void) {
  identity = tlspair_identity();
  alone(a_turn_has_a_number_of_records);
  alone(openssl_has_what_it_is_allowed);
  alone(a_batch_is_as_large_as_the_memory);
  alone(buffers_serve_all_records_that_are_there);
  alone(a_turn_has_its_time_until_it_closes);
  alone(a_turn_has_its_time_until_it_breaks);
  alone(data_behind_a_key_update_is_read);
  alone(key_updates_have_a_rate);
  together(with_memory_it_goes_on);
  together(without_memory_a_link_ends);
  tlspair_forget(&identity);
  puts("ok");
  return 0;
}
