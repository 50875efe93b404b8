// The functions that JavaScript calls; acceptor.ts describes them.
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

static const napi_type_tag ACCEPTOR = {0x7e1f60a9d2c84b35, 0xb85cd1f3079a6e42};

static void release_acceptor(void *data) {
  acceptor_close_all(data);
  connections_free(&((struct acceptor *)data)->connections);
  free(data);
}

// Known headers, back to back; each must announce a possible length.
static bool headers_good(const uint8_t *headers, size_t length) {
  if (length == 0 || length % HEADER != 0 || length > MAX_HEADERS * HEADER) return false;
  for (size_t i = 0; i < length; i += HEADER) {
    size_t announces = (size_t)headers[i + 1] << 8 | headers[i + 2];
    if (announces < HEADER || announces > MAX_MESSAGE) return false;
  }
  return true;
}

// acceptorOpen(listener, headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onEvent)
static napi_value acceptor_open(napi_env env, napi_callback_info info) {
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
    return addon_bad(env, "acceptorOpen(listener, headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onEvent)");
  struct acceptor *acceptor = calloc(1, sizeof *acceptor);
  if (acceptor == NULL) return addon_errno(env, ENOMEM, "opening an acceptor");
  uint64_t salt = 0;
  if (getrandom(&salt, sizeof salt, 0) != sizeof salt) salt = (uint64_t)acceptor_now();
  *acceptor = (struct acceptor){.env = env, .listener = -1, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  int error = acceptor->epoll < 0 ? errno : ENOMEM;
  if (!connections_init(&acceptor->connections, total, per_source, salt) || acceptor->epoll < 0) {
    release_acceptor(acceptor);
    return addon_errno(env, error, "opening an acceptor");
  }
  memcpy(acceptor->headers, headers, headers_length);
  acceptor->header_count = headers_length / HEADER;
  memcpy(acceptor->refusal, refusal, refusal_length);
  acceptor->refusal_length = refusal_length;
  acceptor->deadlines[HELLO] = deadlines[0];
  acceptor->deadlines[CLAIM] = deadlines[1];
  acceptor->deadlines[CLOSING] = deadlines[2];
  napi_value handle = handle_new(env, &ACCEPTOR, acceptor, release_acceptor);
  if (handle == NULL) return NULL;
  if (!poll_open(env, acceptor->epoll, "enf:acceptor", handle, arguments[8], acceptor, acceptor_on_ready, &acceptor->poll))
    return NULL;
  poll_start(acceptor->poll, UV_READABLE);
  acceptor->listener = (int)listener;
  acceptor_set_accepting(acceptor, true);
  return handle;
}

static struct acceptor *acceptor_of(napi_env env, napi_value value) { return handle_data(env, value, &ACCEPTOR); }

// The acceptor and the connection of a call; the connection is NULL if it is closed.
static struct acceptor *called(napi_env env, napi_value *arguments, struct connection **connection) {
  double id;
  struct acceptor *acceptor = acceptor_of(env, arguments[0]);
  if (acceptor == NULL || napi_get_value_double(env, arguments[1], &id) != napi_ok || !(id >= 0 && id <= 9007199254740991.0))
    return NULL;
  *connection = connections_find(&acceptor->connections, (uint64_t)id);
  return acceptor;
}

// Our messages fit any send buffer: if sending fails, the peer has closed or never reads.
static bool send_message(struct connection *connection, const uint8_t *data, size_t length, int flags) {
  ssize_t sent;
  do sent = send(connection->fd, data, length, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == (ssize_t)length;
}

// The last message waits for the end of the stream, and both go in one segment.
static bool send_last(struct connection *connection, const uint8_t *data, size_t length) {
  return (length == 0 || send_message(connection, data, length, MSG_MORE)) && shutdown(connection->fd, SHUT_WR) == 0;
}

// acceptorAnswer(acceptor, id, message, tag)
static napi_value acceptor_answer(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4, length;
  uint8_t *message;
  uint32_t tag;
  struct connection *connection;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct acceptor *acceptor = called(env, arguments, &connection);
  if (acceptor == NULL || !addon_bytes(env, arguments[2], &message, &length) || !addon_u32(env, arguments[3], &tag) ||
      tag > 255)
    return addon_bad(env, "acceptorAnswer(acceptor, id, message, tag): tag is 0 to 255");
  if (connection == NULL || connection->phase != WORKING) return NULL;
  if (!send_message(connection, message, length, 0)) {
    acceptor_end(acceptor, connection);
    return NULL;
  }
  connection->tag = (uint8_t)tag;
  if (!connections_move(&acceptor->connections, connection, CLAIM, acceptor_now())) {
    acceptor_end(acceptor, connection);
    return NULL;
  }
  if (connection->unwatched) acceptor_watch(acceptor, connection);
  return NULL;
}

// acceptorFinish(acceptor, id, lastMessage)
static napi_value acceptor_finish(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length;
  uint8_t *message;
  struct connection *connection;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct acceptor *acceptor = called(env, arguments, &connection);
  if (acceptor == NULL || !addon_bytes(env, arguments[2], &message, &length))
    return addon_bad(env, "acceptorFinish(acceptor, id, lastMessage): lastMessage is a Uint8Array, perhaps empty");
  if (connection == NULL || connection->phase == CLOSING) return NULL;
  if (!send_last(connection, message, length)) {
    acceptor_end(acceptor, connection);
    return NULL;
  }
  if (!connections_move(&acceptor->connections, connection, CLOSING, acceptor_now())) {
    acceptor_end(acceptor, connection);
    return NULL;
  }
  if (connection->unwatched) acceptor_watch(acceptor, connection);
  if (connection->unwatched) acceptor_end(acceptor, connection);
  return NULL;
}

// A peer that has sent nothing in time gets the refusal. This is not reported: there may be thousands of them.
static void refuse_silent(struct acceptor *acceptor, struct connection *connection) {
  send_last(connection, acceptor->refusal, acceptor->refusal_length);
  acceptor_end(acceptor, connection);
}

// The connection that has been in this phase the longest, if that is too long.
static struct connection *first_overdue(const struct acceptor *acceptor, enum phase phase, int64_t now) {
  struct connection *connection = connections_first(&acceptor->connections, phase);
  return connection != NULL && now - (int64_t)connection->entry.since >= acceptor->deadlines[phase] ? connection : NULL;
}

// acceptorTick(acceptor): handles the timeouts of each phase.
static napi_value acceptor_tick(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct acceptor *acceptor = acceptor_of(env, argument);
  if (acceptor == NULL) return addon_bad(env, "acceptorTick(acceptor)");
  int64_t now = acceptor_now();
  struct connection *connection;
  while ((connection = first_overdue(acceptor, CLOSING, now)) != NULL) acceptor_end(acceptor, connection);
  for (int phase = HELLO; phase <= CLAIM; phase++)
    while ((connection = first_overdue(acceptor, (enum phase)phase, now)) != NULL)
      if (connection->received) acceptor_report(acceptor, TIMED_OUT, connection, NULL, 0);
      else refuse_silent(acceptor, connection);
  acceptor_set_accepting(acceptor, true);
  return NULL;
}

// acceptorStopAccepting(acceptor): accepts no more, and closes connections whose first message is not complete.
static napi_value acceptor_stop(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct acceptor *acceptor = acceptor_of(env, argument);
  if (acceptor == NULL) return addon_bad(env, "acceptorStopAccepting(acceptor)");
  acceptor_stop_accepting(acceptor);
  acceptor_end_phase(acceptor, HELLO);
  return NULL;
}

// acceptorClose(acceptor): closes everything at once and for good.
static napi_value acceptor_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct acceptor *acceptor = acceptor_of(env, argument);
  if (acceptor == NULL) return addon_bad(env, "acceptorClose(acceptor)");
  acceptor_close_all(acceptor);
  return NULL;
}

static napi_value acceptor_count(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct acceptor *acceptor = acceptor_of(env, argument);
  if (acceptor == NULL) return addon_bad(env, "acceptorCount(acceptor)");
  napi_create_uint32(env, acceptor->connections.open, &result);
  return result;
}

void register_acceptor(napi_env env, napi_value exports) {
  addon_function(env, exports, "acceptorOpen", acceptor_open);
  addon_function(env, exports, "acceptorAnswer", acceptor_answer);
  addon_function(env, exports, "acceptorFinish", acceptor_finish);
  addon_function(env, exports, "acceptorTick", acceptor_tick);
  addon_function(env, exports, "acceptorStopAccepting", acceptor_stop);
  addon_function(env, exports, "acceptorClose", acceptor_close);
  addon_function(env, exports, "acceptorCount", acceptor_count);
}
