// A listening TCP socket as a plain descriptor, so that child processes can inherit it.
#include "napi.h"
#include "addon/arguments.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static int open_listener(const struct addrinfo *address) {
  int on = 1, off = 0;
  int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  // TCP_NODELAY passes to what is accepted. [::] takes IPv4, too, whatever the system's default.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (address->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

static napi_value listener_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2;
  char host[INET6_ADDRSTRLEN + 32], service[8];
  uint32_t port;
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], host, sizeof host) || !addon_u32(env, arguments[1], &port) || port > 65535)
    return addon_bad(env, "listenerOpen(address, port): a literal address and 0 to 65535");
  snprintf(service, sizeof service, "%u", (unsigned)port);
  if (getaddrinfo(host, service, &hints, &found) != 0) return addon_bad(env, "listenerOpen: not a literal address");
  int fd = open_listener(found);
  freeaddrinfo(found);
  if (fd < 0) return addon_errno(env, -fd, "listening");
  napi_create_int32(env, fd, &result);
  return result;
}

static napi_value listener_port(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  uint32_t fd;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!addon_u32(env, argument, &fd)) return addon_bad(env, "listenerPort(descriptor)");
  if (getsockname((int)fd, (struct sockaddr *)&address, &length) != 0) return addon_errno(env, errno, "asking for the port");
  in_port_t port = address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                 : ((struct sockaddr_in *)&address)->sin_port;
  napi_create_uint32(env, ntohs(port), &result);
  return result;
}

void register_listener(napi_env env, napi_value exports) {
  addon_function(env, exports, "listenerOpen", listener_open);
  addon_function(env, exports, "listenerPort", listener_port);
}
