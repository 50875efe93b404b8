// A TCP socket that gets its options before it connects (SO_MARK has to come first) and then becomes Node's.
#include "addon/handle.h"
#include "napi.h"
#include "addon/arguments.h"
#include "addon/poll.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

// Keepalive as enftun has it (enftun.md §2). Unacknowledged data ends the connection as late as unanswered probes do.
enum { KEEP_IDLE_S = 300, KEEP_COUNT = 6, KEEP_INTERVAL_S = 10, USER_TIMEOUT_MS = KEEP_COUNT * KEEP_INTERVAL_S * 1000 };

enum { ANSWER_MOST = 8192 };

struct dialing {
  int fd;  // -1 once closed or taken
  int family;
  bool started, connected;
  struct poll *poll;  // while connecting or asking
  napi_env env;
  char *answer;  // ANSWER_MOST bytes, while asking
  size_t answered;
};

static const napi_type_tag SOCKET = {0x2b7d94f3c1e84a60, 0xa4f05d83be127c99};

static void close_socket(struct dialing *socket) {
  if (socket->poll != NULL) poll_close(socket->poll);
  if (socket->fd >= 0) close(socket->fd);
  socket->fd = -1;
  free(socket->answer);
  socket->answer = NULL;
}

static void release_socket(void *data) {
  close_socket(data);
  free(data);
}

// 0 or an errno; `*doing` names the option that was refused.
static int set_options(int fd, uint32_t mark, uint32_t segment, const char **doing) {
  const struct {
    int level, name, value;
    const char *doing;
  } options[] = {
      {SOL_SOCKET, SO_KEEPALIVE, 1, "setting SO_KEEPALIVE"},
      {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S, "setting TCP_KEEPIDLE"},
      {IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT, "setting TCP_KEEPCNT"},
      {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S, "setting TCP_KEEPINTVL"},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS, "setting TCP_USER_TIMEOUT"},
      {IPPROTO_TCP, TCP_NODELAY, 1, "setting TCP_NODELAY"},
      {SOL_SOCKET, SO_MARK, (int)mark, "setting SO_MARK"},
      {IPPROTO_TCP, TCP_MAXSEG, (int)segment, "setting TCP_MAXSEG"},
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    if (options[i].value == 0) continue;  // not asked for
    *doing = options[i].doing;
    if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0) return errno;
  }
  return 0;
}

static napi_value socket_open(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3;
  uint32_t family, mark, segment;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_u32(env, arguments[0], &family) || (family != 4 && family != 6) || !addon_u32(env, arguments[1], &mark) ||
      !addon_u32(env, arguments[2], &segment) || segment > 32767)
    return addon_bad(env, "socketOpen(family, mark, segment): family must be 4 or 6, mark a 32-bit number, segment at most 32767");
  struct dialing *made = calloc(1, sizeof *made);
  if (made == NULL) return addon_errno(env, ENOMEM, "making a socket");
  made->env = env;
  made->family = family == 4 ? AF_INET : AF_INET6;
  made->fd = socket(made->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const char *doing = "making a socket";
  int error = made->fd < 0 ? errno : set_options(made->fd, mark, segment, &doing);
  if (error != 0) {
    release_socket(made);
    return addon_errno(env, error, doing);
  }
  return handle_new(env, &SOCKET, made, release_socket);
}

// Calls back and ends the poll, unless the callback has begun something new.
static void call_once(struct dialing *socket, size_t count, const napi_value *arguments) {
  struct poll *own = socket->poll;
  poll_call(own, count, arguments);
  if (socket->poll == own) poll_close(own);
}

static void on_connected(void *owner, int dead) {
  (void)dead;  // SO_ERROR has the reason
  struct dialing *socket = owner;
  int error = 0;
  socklen_t length = sizeof error;
  napi_value argument;
  if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  poll_stop(socket->poll);
  socket->connected = error == 0;
  if (error == 0) napi_get_undefined(socket->env, &argument);
  else argument = addon_error(socket->env, error, "connecting");
  call_once(socket, 1, &argument);
}

// Parses a literal address of the socket's family; 0, EINVAL, or ENODEV for a zone that is no interface here.
static int parse_address(int family, const char *text, uint32_t port, struct sockaddr_storage *address, socklen_t *length) {
  char service[8];
  struct addrinfo *found = NULL;
  struct addrinfo hints = {
      .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  snprintf(service, sizeof service, "%u", port);
  if (getaddrinfo(text, service, &hints, &found) != 0) return strchr(text, '%') != NULL ? ENODEV : EINVAL;
  memcpy(address, found->ai_addr, found->ai_addrlen);
  *length = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

static napi_value socket_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  char text[80];
  uint32_t port;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dialing *socket = handle_data(env, arguments[0], &SOCKET);
  if (socket == NULL || !addon_text(env, arguments[1], text, sizeof text) || !addon_u32(env, arguments[2], &port) ||
      port == 0 || port > 65535 || napi_typeof(env, arguments[3], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "socketConnect(socket, address, port, onDone): expected a socket handle, a literal address, "
                          "a port of 1 to 65535 and a function");
  if (socket->fd < 0) return addon_errno(env, EBADF, "connecting a closed socket");
  if (socket->started) return addon_errno(env, EALREADY, "connecting");
  struct sockaddr_storage address;
  socklen_t length;
  int error = parse_address(socket->family, text, port, &address, &length);
  if (error == EINVAL) return addon_bad(env, "socketConnect: not a literal address of the socket's family");
  if (error != 0) return addon_errno(env, error, "finding the address's zone");
  socket->started = true;
  if (connect(socket->fd, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
    return addon_errno(env, errno, "connecting");
  if (poll_open(env, socket->fd, "enf.socket", arguments[0], arguments[3], socket, on_connected, &socket->poll))
    poll_start(socket->poll, UV_WRITABLE);
  return NULL;
}

// Reads what has arrived, up to the blank line and not a byte further: 1 when that is there, 0 while it is not, or a negative errno.
static int take_answer(struct dialing *socket) {
  char *end = NULL;
  while (end == NULL && socket->answered < ANSWER_MOST) {
    char *next = socket->answer + socket->answered;
    ssize_t seen = recv(socket->fd, next, ANSWER_MOST - socket->answered, MSG_PEEK);
    if (seen < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (seen == 0) return -EPIPE;
    end = memmem(socket->answer, socket->answered + (size_t)seen, "\r\n\r\n", 4);
    size_t taken = end == NULL ? (size_t)seen : (size_t)(end + 4 - next);
    if (recv(socket->fd, next, taken, 0) != (ssize_t)taken) return -EIO;
    socket->answered += taken;
  }
  return end == NULL ? -EMSGSIZE : 1;
}

static void on_answer(void *owner, int dead) {
  struct dialing *socket = owner;
  int result = take_answer(socket);
  if (result == 0 && dead == 0) return;
  if (result == 0) result = -dead;
  napi_value arguments[2];
  napi_get_undefined(socket->env, &arguments[0]);
  if (result < 0) arguments[0] = addon_error(socket->env, -result, "asking");
  else arguments[1] = addon_new_bytes(socket->env, (uint8_t *)socket->answer, socket->answered);
  poll_stop(socket->poll);
  free(socket->answer);
  socket->answer = NULL;
  call_once(socket, result < 0 ? 1 : 2, arguments);
}

static napi_value socket_ask(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length;
  uint8_t *question;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct dialing *socket = handle_data(env, arguments[0], &SOCKET);
  if (socket == NULL || !addon_bytes(env, arguments[1], &question, &length) || length == 0 ||
      napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "socketAsk(socket, question, onDone): expected a socket handle, bytes and a function");
  if (socket->fd < 0 || !socket->connected) return addon_errno(env, ENOTCONN, "asking");
  if (socket->answer != NULL) return addon_errno(env, EALREADY, "asking");
  // A request fits into the send buffer of a new socket.
  ssize_t sent = send(socket->fd, question, length, MSG_NOSIGNAL);
  if (sent != (ssize_t)length) return addon_errno(env, sent < 0 ? errno : EMSGSIZE, "asking");
  socket->answer = malloc(ANSWER_MOST);
  if (socket->answer == NULL) return addon_errno(env, ENOMEM, "asking");
  socket->answered = 0;
  if (socket->poll != NULL) poll_close(socket->poll);
  if (poll_open(env, socket->fd, "enf.socket", arguments[0], arguments[2], socket, on_answer, &socket->poll))
    poll_start(socket->poll, UV_READABLE);
  return NULL;
}

static napi_value socket_take(napi_env env, napi_callback_info info) {
  napi_value argument, number;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dialing *socket = handle_data(env, argument, &SOCKET);
  if (socket == NULL) return addon_bad(env, "socketTake(socket): not a socket handle");
  if (socket->fd < 0 || !socket->connected) return addon_errno(env, ENOTCONN, "taking a socket");
  if (socket->poll != NULL) poll_close(socket->poll);
  napi_create_int32(env, socket->fd, &number);
  socket->fd = -1;
  return number;
}

static napi_value socket_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct dialing *socket = handle_data(env, argument, &SOCKET);
  if (socket == NULL) return addon_bad(env, "socketClose(socket): not a socket handle");
  close_socket(socket);
  return NULL;
}

void register_socket(napi_env env, napi_value exports) {
  addon_function(env, exports, "socketOpen", socket_open);
  addon_function(env, exports, "socketConnect", socket_connect);
  addon_function(env, exports, "socketAsk", socket_ask);
  addon_function(env, exports, "socketTake", socket_take);
  addon_function(env, exports, "socketClose", socket_close);
}
