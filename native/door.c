// A TCP server of short framed exchanges: thousands of connections may be open and silent at the cost of some hundred bytes
// each, and JavaScript hears only of whole messages, of peers that broke the framing and of those that are late or gone.
#include "handle.h"
#include "doorway.h"
#include "net.h"
#include "watch.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { HEADER = 4, MAX_HEADERS = 16, MAX_MESSAGE = 4096, MAX_REFUSAL = 64, EVENTS = 64, ACCEPTS = 16, MAX_DEADLINE = 86400000 };
enum event { MESSAGE, BAD_HEADER, LATE, GONE, CROWDED };
static const char *const EVENT_NAMES[] = {"message", "bad-header", "late", "gone", "crowded"};
// What the listening socket has instead of an id in the epoll set; ids stay below 2^53.
static const uint64_t LISTENER = UINT64_MAX;

struct door {
  napi_env env;
  int listener, epoll;
  bool accepting;  // the listener is in the epoll set
  struct watch *watch;
  struct doorway doorway;
  uint8_t headers[MAX_HEADERS][HEADER];
  size_t header_count;
  uint8_t refusal[MAX_REFUSAL];
  size_t refusal_length;
  int64_t deadlines[PHASES];
};

static const napi_type_tag DOOR = {0x7e1f60a9d2c84b35, 0xb85cd1f3079a6e42};

static int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void watch_visit(struct door *door, struct visit *visit) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = visit_id(&door->doorway, visit)};
  visit->unwatched = epoll_ctl(door->epoll, EPOLL_CTL_ADD, visit->fd, &event) != 0;
}

static void unwatch_visit(struct door *door, struct visit *visit) {
  if (!visit->unwatched) epoll_ctl(door->epoll, EPOLL_CTL_DEL, visit->fd, NULL);
  visit->unwatched = true;
}

// The listener leaves the epoll set while accepting is impossible (no descriptors), or it would wake us for ever.
static void accept_on(struct door *door, bool on) {
  if (door->listener < 0 || on == door->accepting) return;
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = LISTENER};
  if (epoll_ctl(door->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, door->listener, &event) == 0) door->accepting = on;
}

static void end_visit(struct door *door, struct visit *visit) {
  close(visit->fd);  // leaves the epoll set by itself
  doorway_leave(&door->doorway, visit);
  accept_on(door, true);
}

static void stop_accepting(struct door *door) {
  if (door->listener < 0) return;
  // Before it is closed: a child process may hold the same listener, and then closing takes nothing out of the set.
  accept_on(door, false);
  close(door->listener);
  door->listener = -1;
}

static void close_door(struct door *door) {
  if (door->watch != NULL) watch_close(door->watch);
  stop_accepting(door);
  for (int phase = HELLO; phase < PHASES; phase++)
    for (struct visit *visit; (visit = doorway_first(&door->doorway, phase)) != NULL;) end_visit(door, visit);
  if (door->epoll >= 0) close(door->epoll);
  door->epoll = -1;
}

static void release_door(void *data) {
  close_door(data);
  doorway_release(&((struct door *)data)->doorway);
  free(data);
}

// Calls JavaScript; the visit may be over afterwards.
static void report(struct door *door, enum event event, uint64_t id, const struct in6_addr *from, uint8_t note, bool claims,
                   const uint8_t *data, size_t length) {
  char text[INET6_ADDRSTRLEN] = "";
  napi_value arguments[6], buffer;
  void *memory;
  if (door->watch == NULL) return;
  if (IN6_IS_ADDR_V4MAPPED(from)) inet_ntop(AF_INET, from->s6_addr + 12, text, sizeof text);
  else inet_ntop(AF_INET6, from, text, sizeof text);
  napi_create_string_latin1(door->env, EVENT_NAMES[event], NAPI_AUTO_LENGTH, &arguments[0]);
  napi_create_double(door->env, (double)id, &arguments[1]);
  napi_create_string_latin1(door->env, text, NAPI_AUTO_LENGTH, &arguments[2]);
  napi_create_uint32(door->env, note, &arguments[3]);
  napi_get_boolean(door->env, claims, &arguments[4]);
  if (napi_create_arraybuffer(door->env, length, &memory, &buffer) != napi_ok) return;
  if (length > 0) memcpy(memory, data, length);
  napi_create_typedarray(door->env, napi_uint8_array, length, buffer, 0, &arguments[5]);
  watch_call(door->watch, 6, arguments);
}

static void report_visit(struct door *door, enum event event, struct visit *visit, const uint8_t *data, size_t length) {
  bool claims = visit->phase == CLAIM;
  struct in6_addr from = visit->address;  // the table may move during the call
  doorway_move(&door->doorway, visit, WORKING, now_ms());
  free(visit->partial);
  visit->partial = NULL;
  report(door, event, visit_id(&door->doorway, visit), &from, visit->note, claims, data, length);
}

// The length that a known header announces, or 0.
static size_t announced(const struct door *door, const uint8_t *header) {
  for (size_t i = 0; i < door->header_count; i++)
    if (memcmp(door->headers[i], header, HEADER) == 0) return (size_t)header[1] << 8 | header[2];
  return 0;
}

// Keeps what came of a message until the rest comes.
static bool keep(struct visit *visit, const uint8_t *bytes, size_t have) {
  uint8_t *partial = realloc(visit->partial, have < HEADER ? HEADER : visit->need);
  if (partial == NULL) return false;
  memcpy(partial, bytes, have);
  visit->partial = partial;
  visit->have = (uint16_t)have;
  return true;
}

// Reads on at a message, first the header alone and then what it announces: never a byte further.
static void read_message(struct door *door, struct visit *visit) {
  uint8_t bytes[MAX_MESSAGE];
  size_t have = visit->have;
  if (have > 0) memcpy(bytes, visit->partial, have);
  for (;;) {
    size_t need = have < HEADER ? HEADER : visit->need;
    ssize_t got = recv(visit->fd, bytes + have, need - have, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) {
      // Whoever came and said nothing is not worth a word.
      if (visit->said) report_visit(door, GONE, visit, NULL, 0);
      else end_visit(door, visit);
      return;
    }
    visit->said = true;
    have += (size_t)got;
    if (have == HEADER && need == HEADER) {
      visit->need = (uint16_t)announced(door, bytes);
      if (visit->need == 0) {
        report_visit(door, BAD_HEADER, visit, bytes, HEADER);
        return;
      }
    }
    if (have >= HEADER && have == visit->need) {
      visit->have = 0;
      report_visit(door, MESSAGE, visit, bytes, have);
      return;
    }
  }
  if (have > visit->have && !keep(visit, bytes, have)) end_visit(door, visit);
}

// Throws away what a peer still says after our last words; unread bytes would turn the close into a reset.
static void read_away(struct door *door, struct visit *visit) {
  uint8_t bytes[MAX_MESSAGE];
  for (int i = 0; i < 16; i++) {
    ssize_t got = recv(visit->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    end_visit(door, visit);
    return;
  }
}

static void turn_away(struct door *door, int fd, const struct in6_addr *from) {
  uint8_t bytes[MAX_MESSAGE];
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
  if (send(fd, door->refusal, door->refusal_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) errno = 0;
  close(fd);
  report(door, CROWDED, 0, from, 0, false, NULL, 0);
}

static void address_of(const struct sockaddr_storage *peer, struct in6_addr *address) {
  if (peer->ss_family == AF_INET6) *address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
  else {
    *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(address->s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
  }
}

static void admit_one(struct door *door, int fd, const struct in6_addr *from) {
  struct doorway *doorway = &door->doorway;
  if (!doorway_welcomes(doorway, from)) {
    turn_away(door, fd, from);
    return;
  }
  // Full: whoever has been silent the longest makes room. A flood of idle connections keeps nobody out that way.
  if (doorway->open >= doorway->total) {
    struct visit *silent = doorway_first(doorway, HELLO);
    if (silent == NULL) {
      turn_away(door, fd, from);
      return;
    }
    end_visit(door, silent);
  }
  struct visit *visit = doorway_enter(doorway, fd, from, now_ms());
  if (visit == NULL) {
    close(fd);
    return;
  }
  watch_visit(door, visit);
  if (visit->unwatched) end_visit(door, visit);
}

static void accept_some(struct door *door) {
  // A few at a time: what is left is for another process that listens, or for the next round.
  for (int i = 0; i < ACCEPTS && door->listener >= 0; i++) {
    struct sockaddr_storage peer;
    struct in6_addr from;
    socklen_t length = sizeof peer;
    int fd = accept4(door->listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Without descriptors or memory nobody can be accepted until somebody leaves (or the next tick).
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) accept_on(door, false);
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return;
    }
    address_of(&peer, &from);
    admit_one(door, fd, &from);
  }
}

static void on_ready(void *owner, int error) {
  struct door *door = owner;
  struct epoll_event events[EVENTS];
  if (error != 0) return;
  int count = epoll_wait(door->epoll, events, EVENTS, 0);
  for (int i = 0; i < count && door->epoll >= 0; i++) {
    napi_handle_scope scope;
    if (events[i].data.u64 == LISTENER) {
      if (napi_open_handle_scope(door->env, &scope) != napi_ok) return;
      accept_some(door);
      napi_close_handle_scope(door->env, scope);
      continue;
    }
    struct visit *visit = doorway_find(&door->doorway, events[i].data.u64);
    if (visit == NULL) continue;
    if (napi_open_handle_scope(door->env, &scope) != napi_ok) return;
    if (visit->phase == PARTING) read_away(door, visit);
    else if (visit->phase == WORKING) unwatch_visit(door, visit);
    else read_message(door, visit);
    napi_close_handle_scope(door->env, scope);
  }
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
  if (getrandom(&salt, sizeof salt, 0) != sizeof salt) salt = (uint64_t)now_ms();
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
  if (!watch_open(env, door->epoll, "enf:door", handle, arguments[8], door, on_ready, &door->watch)) return NULL;
  watch_start(door->watch, UV_READABLE);
  door->listener = (int)listener;
  accept_on(door, true);
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
    end_visit(door, visit);
    return NULL;
  }
  visit->note = (uint8_t)note;
  doorway_move(&door->doorway, visit, CLAIM, now_ms());
  if (visit->unwatched) watch_visit(door, visit);
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
    end_visit(door, visit);
    return NULL;
  }
  doorway_move(&door->doorway, visit, PARTING, now_ms());
  if (visit->unwatched) watch_visit(door, visit);
  if (visit->unwatched) end_visit(door, visit);
  return NULL;
}

// doorTick(door): takes the late ones of each phase to task.
static napi_value door_tick(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorTick(door)");
  int64_t now = now_ms();
  struct visit *visit;
  while ((visit = doorway_first(&door->doorway, PARTING)) != NULL && now - visit->since >= door->deadlines[PARTING])
    end_visit(door, visit);
  for (int phase = HELLO; phase <= CLAIM; phase++)
    while ((visit = doorway_first(&door->doorway, phase)) != NULL && now - visit->since >= door->deadlines[phase])
      report_visit(door, LATE, visit, (const uint8_t *)"", visit->said ? 1 : 0);
  accept_on(door, true);
  return NULL;
}

// doorShut(door): accepts no more, and lets go of those who have not said hello.
static napi_value door_shut(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorShut(door)");
  stop_accepting(door);
  for (struct visit *visit; (visit = doorway_first(&door->doorway, HELLO)) != NULL;) end_visit(door, visit);
  return NULL;
}

// doorClose(door): ends everything, at once and for good.
static napi_value door_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct door *door = door_of(env, argument);
  if (door == NULL) return addon_bad(env, "doorClose(door)");
  close_door(door);
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
