// What JavaScript calls of a door; native/net/net.ts says what it is for.
#include "napi.h"
#include "acceptor.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static const napi_type_tag DOOR = {0x7e1f60a9d2c84b35, 0xb85cd1f3079a6e42};

static void release_door(void *data) {
  door_close_all(data);
  doorway_release(&((struct door *)data)->doorway);
  free(data);
}

// Known headers, back to back; each announces a length that can be.
static bool headers_good(const uint8_t *headers, size_t length) {
  if (length == 0 || length % HEADER != 0 || length > MAX_HEADERS * HEADER) return false;
  for (size_t i = 0; i < length; i += HEADER) {
    size_t announces = (size_t)headers[i + 1] << 8 | headers[i + 2];
    if (announces < HEADER || announces > MAX_MESSAGE) return false;
  }
  return true;
}

// doorOpen(listener, headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onEvent)
static napi_value door_open(napi_env env, napi_callback_info info) {
  napi_value arguments[9];
  size_t count = 9, headers_length = 0, refusal_length = 0;
  uint32_t listener, total, per_source, deadlines[3];
  uint8_t *headers, *refusal;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  bool good = addon_u32(env, arguments[0], &listener) && listener <= INT32_MAX &&
              addon_bytes(env, arguments[1], &headers, &headers_length) && headers_good(headers, headers_length) &&
              addon_bytes(env, arguments[2], &refusal, &refusal_length) && refusal_length <= MAX_REFUSAL &&
              addon_u32(env, arguments[3], &total) && total > 0 && total <= 1u << 20 &&
              addon_u32(env, arguments[4], &per_source) && per_source > 0;
  for (int i = 0; i < 3; i++)
    good = good && addon_u32(env, arguments[5 + i], &deadlines[i]) && deadlines[i] > 0 && deadlines[i] <= MAX_DEADLINE;
  if (!good || napi_typeof(env, arguments[8], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "doorOpen(listener, headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onEvent)");
  struct door *door = calloc(1, sizeof *door);
  if (door == NULL) return addon_errno(env, ENOMEM, "opening a door");
  uint64_t salt = 0;
  if (getrandom(&salt, sizeof salt, 0) != sizeof salt) salt = (uint64_t)door_now();
  *door = (struct door){.env = env, .listener = -1, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  int error = door->epoll < 0 ? errno : ENOMEM;
  if (!doorway_open(&door->doorway, total, per_source, salt) || door->epoll < 0) {
    release_door(door);
    return addon_errno(env, error, "opening a door");
  }
  memcpy(door->headers, headers, headers_length);
  door->header_count = headers_length / HEADER;
  memcpy(door->refusal, refusal, refusal_length);
  door->refusal_length = refusal_length;
  door->deadlines[HELLO] = deadlines[0];
  door->deadlines[CLAIM] = deadlines[1];
  door->deadlines[PARTING] = deadlines[2];
  napi_value handle = handle_new(env, &DOOR, door, release_door);
  if (handle == NULL) return NULL;
  if (!poll_open(env, door->epoll, "enf:door", handle, arguments[8], door, door_on_ready, &door->watch)) return NULL;
  poll_start(door->watch, UV_READABLE);
  door->listener = (int)listener;
  door_accept_on(door, true);
  return handle;
}

static struct door *door_of(napi_env env, napi_value value) { return handle_data(env, value, &DOOR); }

// Finds door and visit of a call; the visit is NULL if it is over.
static struct door *called(napi_env env, napi_value *arguments, struct visit **visit) {
  double id;
  struct door *door = door_of(env, arguments[0]);
  if (door == NULL || napi_get_value_double(env, arguments[1], &id) != napi_ok || !(id >= 0 && id <= 9007199254740991.0))
    return NULL;
  *visit = doorway_find(&door->doorway, (uint64_t)id);
  return door;
}

// A message of ours fits any send buffer; a peer that makes it fail has closed or never reads.
static bool say(struct visit *visit, const uint8_t *data, size_t length) {
  ssize_t sent;
  do sent = send(visit->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == (ssize_t)length;
}

// doorAnswer(door, id, message, note)
static napi_value door_answer(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4, length;
  uint8_t *message;
  uint32_t note;
  struct visit *visit;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct door *door = called(env, arguments, &visit);
  if (door == NULL || !addon_bytes(env, arguments[2], &message, &length) || !addon_u32(env, arguments[3], &note) || note > 255)
    return addon_bad(env, "doorAnswer(door, id, message, note): note is 0 to 255");
  if (visit == NULL || visit->phase != WORKING) return NULL;
  if (!say(visit, message, length)) {
    door_end_visit(door, visit);
    return NULL;
  }
  visit->note = (uint8_t)note;
  doorway_move(&door->doorway, visit, CLAIM, door_now());
  if (visit->unwatched) door_watch_visit(door, visit);
  return NULL;
}

// doorPart(door, id, lastWords)
static napi_value door_part(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length;
  uint8_t *words;
  struct visit *visit;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct door *door = called(env, arguments, &visit);
  if (door == NULL || !addon_bytes(env, arguments[2], &words, &length))
    return addon_bad(env, "doorPart(door, id, lastWords): lastWords is a Uint8Array, perhaps empty");
  if (visit == NULL || visit->phase == PARTING) return NULL;
  if ((length > 0 && !say(visit, words, length)) || shutdown(visit->fd, SHUT_WR) != 0) {
    door_end_visit(door, visit);
    return NULL;
  }
  doorway_move(&door->doorway, visit, PARTING, door_now());
  if (visit->unwatched) door_watch_visit(door, visit);
  if (visit->unwatched) door_end_visit(door, visit);
  return NULL;
}

// Whoever came and said nothing gets the refusal; JavaScript need not hear of it, there may be thousands of them.
static void send_away(struct door *door, struct visit *visit) {
  say(visit, door->refusal, door->refusal_length);
  door_end_visit(door, visit);
}

// doorTick(door): takes the late ones of each phase to task.
static napi_value door_tick(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorTick(door)");
  int64_t now = door_now();
  struct visit *visit;
  while ((visit = doorway_first(&door->doorway, PARTING)) != NULL && now - visit->since >= door->deadlines[PARTING])
    door_end_visit(door, visit);
  for (int phase = HELLO; phase <= CLAIM; phase++)
    while ((visit = doorway_first(&door->doorway, phase)) != NULL && now - visit->since >= door->deadlines[phase])
      if (visit->said) door_report_visit(door, LATE, visit, NULL, 0);
      else send_away(door, visit);
  door_accept_on(door, true);
  return NULL;
}

// doorShut(door): accepts no more, and lets go of those who have not said hello.
static napi_value door_shut(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorShut(door)");
  door_stop_accepting(door);
  for (struct visit *visit; (visit = doorway_first(&door->doorway, HELLO)) != NULL;) door_end_visit(door, visit);
  return NULL;
}

// doorClose(door): ends everything, at once and for good.
static napi_value door_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorClose(door)");
  door_close_all(door);
  return NULL;
}

static napi_value door_count(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorCount(door)");
  napi_create_uint32(env, door->doorway.open, &result);
  return result;
}

void register_door(napi_env env, napi_value exports) {
  addon_function(env, exports, "doorOpen", door_open);
  addon_function(env, exports, "doorAnswer", door_answer);
  addon_function(env, exports, "doorPart", door_part);
  addon_function(env, exports, "doorTick", door_tick);
  addon_function(env, exports, "doorShut", door_shut);
  addon_function(env, exports, "doorClose", door_close);
  addon_function(env, exports, "doorCount", door_count);
}
