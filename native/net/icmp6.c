// A raw ICMPv6 socket on one interface: a router's, which hears solicitations and sends advertisements (RFC 4861).
#include "addon/arguments.h"
#include "addon/handle.h"
#include "addon/poll.h"
#include "napi.h"
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  MESSAGE_BYTES = 1500,   // solicitations are much shorter
  TURN_MESSAGES = 16,     // then the event loop goes on
  QUEUE_BYTES = 64 * 1024,  // the socket's receive buffer
  HOP_LIMIT = 255,        // proves that a message has come over no router
};

struct icmp6 {
  int fd;  // -1 once closed
  struct poll *poll;
  napi_env env;
  uint32_t interface;
};

static const napi_type_tag ICMP6 = {0x41c7f2a9be0d4d63, 0x8e5d9b1c72f3460a};

static void close_socket(struct icmp6 *icmp6) {
  if (icmp6->poll != NULL) poll_close(icmp6->poll);
  if (icmp6->fd >= 0) close(icmp6->fd);
  icmp6->fd = -1;
}

static void release_socket(void *data) {
  close_socket(data);
  free(data);
}

// The hop limit of a message; -1 if the kernel has not told it.
static int hop_limit_of(struct msghdr *header) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
    int limit;
    if (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_HOPLIMIT || part->cmsg_len < CMSG_LEN(sizeof limit)) continue;
    memcpy(&limit, CMSG_DATA(part), sizeof limit);
    return limit;
  }
  return -1;
}

static void on_readable(void *owner, int dead) {
  struct icmp6 *icmp6 = owner;
  for (int i = 0; i < TURN_MESSAGES && icmp6->poll != NULL && dead == 0; i++) {
    uint8_t message[MESSAGE_BYTES], control[CMSG_SPACE(sizeof(int))];
    struct sockaddr_in6 from = {0};
    struct iovec part = {message, sizeof message};
    struct msghdr header = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(icmp6->fd, &header, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if ((header.msg_flags & MSG_TRUNC) != 0 || hop_limit_of(&header) != HOP_LIMIT) continue;
    napi_value arguments[2] = {addon_new_bytes(icmp6->env, from.sin6_addr.s6_addr, sizeof from.sin6_addr.s6_addr),
                               addon_new_bytes(icmp6->env, message, (size_t)got)};
    if (arguments[0] != NULL && arguments[1] != NULL) poll_call(icmp6->poll, 2, arguments);
  }
}

static int set(int fd, int level, int name, const void *value, socklen_t length) {
  return setsockopt(fd, level, name, value, length) < 0 ? errno : 0;
}

// 0 or an errno.
static int prepare(int fd, const char *interface, uint32_t index) {
  int on = 1, off = 0, hops = HOP_LIMIT, bytes = QUEUE_BYTES, own = (int)index;
  struct icmp6_filter filter;
  struct ipv6_mreq routers = {.ipv6mr_interface = index};
  routers.ipv6mr_multiaddr.s6_addr[0] = 0xff;
  routers.ipv6mr_multiaddr.s6_addr[1] = routers.ipv6mr_multiaddr.s6_addr[15] = 2;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
  (void)set(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  int error = set(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface));
  if (error == 0) error = set(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof off);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &own, sizeof own);
  if (error == 0) error = set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &routers, sizeof routers);
  return error;
}

static napi_value icmp6_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2], handle;
  size_t count = 2;
  char interface[IFNAMSIZ];
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], interface, sizeof interface) || interface[0] == '\0' ||
      napi_typeof(env, arguments[1], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "icmp6Open(interface, onSolicitation): expected a name of 1 to 15 bytes and a function");
  struct icmp6 *icmp6 = calloc(1, sizeof *icmp6);
  if (icmp6 == NULL) return addon_errno(env, ENOMEM, "opening an ICMPv6 socket");
  icmp6->env = env;
  icmp6->interface = if_nametoindex(interface);
  icmp6->fd = icmp6->interface == 0 ? -1 : socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  int error = icmp6->fd < 0 ? errno : prepare(icmp6->fd, interface, icmp6->interface);
  if (error != 0) {
    release_socket(icmp6);
    return addon_errno(env, error, "opening an ICMPv6 socket");
  }
  handle = handle_new(env, &ICMP6, icmp6, release_socket);
  if (handle == NULL) return NULL;
  if (poll_open(env, icmp6->fd, "enf.icmp6", handle, arguments[1], icmp6, on_readable, &icmp6->poll)) poll_start(icmp6->poll, UV_READABLE);
  return handle;
}

// icmp6Advertise(socket, message): to all nodes; the kernel computes the checksum.
static napi_value icmp6_advertise(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, length = 0;
  uint8_t *message;
  struct sockaddr_in6 all = {.sin6_family = AF_INET6};
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct icmp6 *icmp6 = handle_data(env, arguments[0], &ICMP6);
  if (icmp6 == NULL || !addon_bytes(env, arguments[1], &message, &length) || length == 0 || length > MESSAGE_BYTES)
    return addon_bad(env, "icmp6Advertise(socket, message): expected a socket and at most 1,500 bytes");
  if (icmp6->fd < 0) return addon_errno(env, EBADF, "sending an advertisement");
  all.sin6_addr.s6_addr[0] = 0xff;
  all.sin6_addr.s6_addr[1] = 2;
  all.sin6_addr.s6_addr[15] = 1;
  all.sin6_scope_id = icmp6->interface;
  if (sendto(icmp6->fd, message, length, MSG_DONTWAIT, (struct sockaddr *)&all, sizeof all) < 0)
    return addon_errno(env, errno, "sending an advertisement");
  return NULL;
}

static napi_value icmp6_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct icmp6 *icmp6 = handle_data(env, argument, &ICMP6);
  if (icmp6 == NULL) return addon_bad(env, "icmp6Close(socket): not an ICMPv6 socket");
  close_socket(icmp6);
  return NULL;
}

void register_icmp6(napi_env env, napi_value exports) {
  addon_function(env, exports, "icmp6Open", icmp6_open);
  addon_function(env, exports, "icmp6Advertise", icmp6_advertise);
  addon_function(env, exports, "icmp6Close", icmp6_close);
}
