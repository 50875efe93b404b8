// Subscribes to the kernel's notifications about network and firewall (netlink multicast), and looks up the source address of a route.
#include "addon/handle.h"
#include "napi.h"
#include "addon/arguments.h"
#include "addon/poll.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  MESSAGE_BYTES = 65536,     // longer than any notification
  TURN_DATAGRAMS = 64,       // then the event loop goes on
  QUEUE_BYTES = 1024 * 1024  // the socket's receive buffer
};

struct netlink {
  int fd;  // -1 once closed
  struct poll *poll;
  napi_env env;
  uint8_t *buffer;
};

static const napi_type_tag NETLINK = {0x9d2f60b7184c4e35, 0xb3a15c7e90d84126};

static void close_netlink(struct netlink *netlink) {
  if (netlink->poll != NULL) poll_close(netlink->poll);
  if (netlink->fd >= 0) close(netlink->fd);
  netlink->fd = -1;
}

static void release_netlink(void *data) {
  struct netlink *netlink = data;
  close_netlink(netlink);
  free(netlink->buffer);
  free(netlink);
}

// Hands one datagram to JavaScript, or nothing if the kernel had to drop some.
static void call(struct netlink *netlink, const uint8_t *bytes, size_t length) {
  napi_value messages, buffer;
  void *copy;
  if (bytes == NULL) {
    napi_get_undefined(netlink->env, &messages);
  } else {
    if (napi_create_arraybuffer(netlink->env, length, &copy, &buffer) != napi_ok) return;
    memcpy(copy, bytes, length);
    if (napi_create_typedarray(netlink->env, napi_uint8_array, length, buffer, 0, &messages) != napi_ok) return;
  }
  poll_call(netlink->poll, 1, &messages);
}

static void on_readable(void *owner, int dead) {
  struct netlink *netlink = owner;
  (void)dead;  // reading returns the error
  for (int i = 0; i < TURN_DATAGRAMS && netlink->poll != NULL; i++) {
    struct sockaddr_nl from = {0};
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(netlink->fd, netlink->buffer, MESSAGE_BYTES, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      call(netlink, NULL, 0);
      continue;
    }
    if (got <= 0) return;
    // Any process may send to a netlink socket; only the kernel's messages count.
    if (from.nl_pid != 0) continue;
    if (got > MESSAGE_BYTES) call(netlink, NULL, 0);
    else call(netlink, netlink->buffer, (size_t)got);
  }
}

// 0 or an errno.
static int join_groups(int fd, const uint8_t *groups, size_t count) {
  int bytes = QUEUE_BYTES;
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  // More than the usual limit needs CAP_NET_ADMIN; without it the usual one has to do.
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) return errno;
  for (size_t i = 0; i < count; i++) {
    int group = groups[i];
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) return errno;
  }
  return 0;
}

static napi_value netlink_open(napi_env env, napi_callback_info info) {
  napi_value arguments[3], handle;
  size_t count = 3, length = 0;
  uint32_t protocol;
  uint8_t *groups;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_u32(env, arguments[0], &protocol) || protocol > 31 || !addon_bytes(env, arguments[1], &groups, &length) ||
      napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "netlinkOpen(protocol, groups, onMessages): expected 0 to 31, group numbers as bytes and a function");
  struct netlink *netlink = calloc(1, sizeof *netlink);
  if (netlink == NULL) return addon_errno(env, ENOMEM, "opening a netlink socket");
  netlink->env = env;
  netlink->buffer = malloc(MESSAGE_BYTES);
  netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, (int)protocol);
  int error = netlink->buffer == NULL ? ENOMEM : netlink->fd < 0 ? errno : join_groups(netlink->fd, groups, length);
  if (error != 0) {
    release_netlink(netlink);
    return addon_errno(env, error, "opening a netlink socket");
  }
  handle = handle_new(env, &NETLINK, netlink, release_netlink);
  if (handle == NULL) return NULL;
  if (poll_open(env, netlink->fd, "enf.netlink", handle, arguments[2], netlink, on_readable, &netlink->poll))
    poll_start(netlink->poll, UV_READABLE);
  return handle;
}

static napi_value netlink_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct netlink *netlink = handle_data(env, argument, &NETLINK);
  if (netlink == NULL) return addon_bad(env, "netlinkClose(netlink): not a netlink handle");
  close_netlink(netlink);
  return NULL;
}

// A UDP socket with the mark; -errno if it cannot be had.
static int open_datagram(int family, uint32_t mark) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

static struct addrinfo *parse_datagram_address(napi_env env, napi_value value, const char *port) {
  char text[INET6_ADDRSTRLEN + 32];
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM}, *found = NULL;
  if (!addon_text(env, value, text, sizeof text) || getaddrinfo(text, port, &hints, &found) != 0) return NULL;
  return found;
}

static napi_value datagram_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2;
  uint32_t family, mark;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_u32(env, arguments[0], &family) || (family != 4 && family != 6) || !addon_u32(env, arguments[1], &mark))
    return addon_bad(env, "datagramOpen(family, mark): family must be 4 or 6, mark a 32-bit number");
  int fd = open_datagram(family == 4 ? AF_INET : AF_INET6, mark);
  if (fd < 0) return addon_errno(env, -fd, "making a marked socket");
  napi_create_int32(env, fd, &result);
  return result;
}

// Connecting a UDP socket sends nothing: the kernel only looks up the route and chooses the source address.
static napi_value source_towards(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2;
  uint32_t mark;
  char text[INET6_ADDRSTRLEN + 32];
  struct sockaddr_storage source;
  socklen_t size = sizeof source;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct addrinfo *target = parse_datagram_address(env, arguments[0], "9");
  if (target == NULL || !addon_u32(env, arguments[1], &mark)) {
    if (target != NULL) freeaddrinfo(target);
    return addon_bad(env, "sourceTowards(address, mark): a literal address and a 32-bit number");
  }
  int fd = open_datagram(target->ai_family, mark);
  bool found = fd >= 0 && connect(fd, target->ai_addr, target->ai_addrlen) == 0 &&
               getsockname(fd, (struct sockaddr *)&source, &size) == 0 &&
               getnameinfo((struct sockaddr *)&source, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0;
  if (fd >= 0) close(fd);
  freeaddrinfo(target);
  if (fd == -EPERM) return addon_errno(env, EPERM, "setting SO_MARK");
  if (found) napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  else napi_get_undefined(env, &result);
  return result;
}

void register_netlink(napi_env env, napi_value exports) {
  addon_function(env, exports, "netlinkOpen", netlink_open);
  addon_function(env, exports, "netlinkClose", netlink_close);
  addon_function(env, exports, "datagramOpen", datagram_open);
  addon_function(env, exports, "sourceTowards", source_towards);
}
