// A TUN device read and written in batches of enftun frames: u16 big-endian length ‖ packet, back to back (enftun.md §4).
#include "handle.h"
#include "net.h"
#include "watch.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

enum {
  HEADER = 2,
  MAX_PACKET = 1496,   // a peer that receives a longer one drops the whole connection
  BATCH_BYTES = 65536, // one wake-up reads at most this much,
  BATCH_PACKETS = 256, // and this many packets, so that the event loop gets its turn
};

struct tun {
  int fd;  // -1 once closed
  char name[IFNAMSIZ];
  struct watch *watch;  // NULL until started and after close
  napi_env env;
  napi_ref buffer;  // ArrayBuffer of BATCH_BYTES that batches are read into
};

static const napi_type_tag TUN = {0x5f1c0c0b9a3e4d21, 0x8c7be3f0a6d24e57};

static void close_tun(struct tun *tun) {
  if (tun->watch != NULL) watch_close(tun->watch);
  if (tun->buffer != NULL) napi_delete_reference(tun->env, tun->buffer);
  tun->buffer = NULL;
  if (tun->fd >= 0) close(tun->fd);
  tun->fd = -1;
}

static void release_tun(void *data) {
  close_tun(data);
  free(data);
}

// Opens or creates the device; the descriptor or a negative errno. `*doing` names the step that failed.
static int open_device(char name[IFNAMSIZ], const char **doing) {
  *doing = "opening /dev/net/tun";
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  memcpy(request.ifr_name, name, IFNAMSIZ);
  *doing = "attaching to the TUN device";
  // A persistent device may still offload for its last user; without a virtio header such packets could not be told apart.
  if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  memcpy(name, request.ifr_name, IFNAMSIZ);
  return fd;
}

static napi_value tun_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  char name[IFNAMSIZ] = {0};
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!addon_text(env, argument, name, sizeof name) || name[0] == '\0')
    return addon_bad(env, "tunOpen(name): name must be a string of 1 to 15 bytes");
  struct tun *tun = calloc(1, sizeof *tun);
  if (tun == NULL) return addon_errno(env, ENOMEM, "opening a TUN device");
  const char *doing;
  tun->env = env;
  tun->fd = open_device(name, &doing);
  if (tun->fd < 0) {
    int error = -tun->fd;
    free(tun);
    return addon_errno(env, error, doing);
  }
  memcpy(tun->name, name, sizeof name);
  return handle_new(env, &TUN, tun, release_tun);
}

static napi_value tun_name(napi_env env, napi_callback_info info) {
  napi_value argument, name;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct tun *tun = handle_data(env, argument, &TUN);
  if (tun == NULL) return addon_bad(env, "tunName(tun): not a TUN handle");
  napi_create_string_utf8(env, tun->name, NAPI_AUTO_LENGTH, &name);
  return name;
}

// The batch buffer's memory, or NULL. JavaScript may have transferred the buffer away: then a new one takes its place.
static uint8_t *batch_memory(struct tun *tun, napi_value *buffer) {
  void *memory = NULL;
  size_t length = 0;
  if (tun->buffer != NULL && napi_get_reference_value(tun->env, tun->buffer, buffer) == napi_ok &&
      napi_get_arraybuffer_info(tun->env, *buffer, &memory, &length) == napi_ok && length == BATCH_BYTES)
    return memory;
  if (tun->buffer != NULL) napi_delete_reference(tun->env, tun->buffer);
  tun->buffer = NULL;
  if (napi_create_arraybuffer(tun->env, BATCH_BYTES, &memory, buffer) != napi_ok) return NULL;
  return napi_create_reference(tun->env, *buffer, 1, &tun->buffer) == napi_ok ? memory : NULL;
}

// Reads what waits in the device into frames; the bytes read. `*error` is an errno if the device can no longer be read.
static size_t read_batch(int fd, uint8_t *batch, int *error) {
  size_t used = 0;
  for (int packets = 0; packets < BATCH_PACKETS && used + HEADER + MAX_PACKET < BATCH_BYTES;) {
    // One byte more than fits tells a packet that is too long from one that just fits.
    ssize_t got = read(fd, batch + used + HEADER, MAX_PACKET + 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) *error = errno;
    if (got <= 0) break;
    packets++;
    if (got > MAX_PACKET) continue;
    batch[used] = (uint8_t)(got >> 8);
    batch[used + 1] = (uint8_t)got;
    used += HEADER + (size_t)got;
  }
  return used;
}

static void call_lost(struct tun *tun, int error) {
  napi_value arguments[2];
  napi_get_undefined(tun->env, &arguments[0]);
  arguments[1] = addon_error(tun->env, error, "reading from the TUN device");
  watch_stop(tun->watch);
  watch_call(tun->watch, 2, arguments);
}

static void on_readable(void *owner, int dead) {
  struct tun *tun = owner;
  napi_value buffer, frames;
  int error = 0;
  if (dead != 0) return call_lost(tun, EBADFD);
  uint8_t *batch = batch_memory(tun, &buffer);
  if (batch == NULL) return call_lost(tun, ENOMEM);
  size_t used = read_batch(tun->fd, batch, &error);
  if (used == 0 && error != 0) return call_lost(tun, error);
  if (used == 0) return;
  watch_stop(tun->watch);
  if (napi_create_typedarray(tun->env, napi_uint8_array, used, buffer, 0, &frames) != napi_ok)
    return call_lost(tun, ENOMEM);
  watch_call(tun->watch, 1, &frames);
}

static napi_value tun_start(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct tun *tun = handle_data(env, arguments[0], &TUN);
  if (tun == NULL || napi_typeof(env, arguments[1], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "tunStart(tun, onBatch): expected a TUN handle and a function");
  if (tun->fd < 0) return addon_errno(env, EBADF, "starting a closed TUN device");
  if (tun->watch != NULL) return addon_errno(env, EALREADY, "starting a TUN device");
  if (watch_open(env, tun->fd, "enf.tun", arguments[0], arguments[1], tun, on_readable, &tun->watch))
    watch_start(tun->watch, UV_READABLE);
  return NULL;
}

static napi_value tun_resume(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct tun *tun = handle_data(env, argument, &TUN);
  if (tun == NULL) return addon_bad(env, "tunResume(tun): not a TUN handle");
  if (tun->watch != NULL) watch_start(tun->watch, UV_READABLE);
  return NULL;
}

// The packet length a frame announces; read once, as another thread may write to shared memory meanwhile.
static size_t announced(const volatile uint8_t *frame) { return (size_t)frame[0] << 8 | frame[1]; }

// True if `bytes` are whole frames and nothing else.
static bool whole_frames(const uint8_t *bytes, size_t length) {
  size_t offset = 0;
  while (length - offset >= HEADER) {
    size_t packet = announced(bytes + offset);
    if (packet > length - offset - HEADER) return false;
    offset += HEADER + packet;
  }
  return offset == length;
}

static napi_value tun_write(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result, number;
  size_t count = 2, length = 0;
  uint8_t *bytes = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct tun *tun = handle_data(env, arguments[0], &TUN);
  if (tun == NULL || !addon_bytes(env, arguments[1], &bytes, &length))
    return addon_bad(env, "tunWrite(tun, frames): expected a TUN handle and a Uint8Array");
  if (!whole_frames(bytes, length)) return addon_bad(env, "tunWrite(tun, frames): the last frame is cut off");
  uint32_t packets = 0, dropped = 0;
  // The bounds are checked again, for shared memory's sake.
  for (size_t offset = 0; length - offset >= HEADER;) {
    size_t packet = announced(bytes + offset);
    offset += HEADER;
    if (packet > length - offset) break;
    if (packet > 0) {
      ssize_t put;
      do put = write(tun->fd, bytes + offset, packet);
      while (put < 0 && errno == EINTR);
      packets++;
      // EIO: the interface is down; EINVAL: not an IP packet; EAGAIN, ENOBUFS: no room. IP copes with loss.
      if (put < 0) dropped++;
    }
    offset += packet;
  }
  napi_create_object(env, &result);
  napi_create_uint32(env, packets, &number);
  napi_set_named_property(env, result, "packets", number);
  napi_create_uint32(env, dropped, &number);
  napi_set_named_property(env, result, "dropped", number);
  return result;
}

static napi_value tun_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct tun *tun = handle_data(env, argument, &TUN);
  if (tun == NULL) return addon_bad(env, "tunClose(tun): not a TUN handle");
  close_tun(tun);
  return NULL;
}

void register_tun(napi_env env, napi_value exports) {
  addon_function(env, exports, "tunOpen", tun_open);
  addon_function(env, exports, "tunName", tun_name);
  addon_function(env, exports, "tunStart", tun_start);
  addon_function(env, exports, "tunResume", tun_resume);
  addon_function(env, exports, "tunWrite", tun_write);
  addon_function(env, exports, "tunClose", tun_close);
}
