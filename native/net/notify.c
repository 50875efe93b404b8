// One datagram to a service manager's notification socket, as sd_notify(3) sends it. Node has no Unix datagram sockets.
#include "napi.h"
#include "addon/arguments.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_STATE = 4096 };

static napi_value notify_send(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char state[MAX_STATE];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], address.sun_path, sizeof address.sun_path) ||
      (address.sun_path[0] != '/' && address.sun_path[0] != '@'))
    return addon_bad(env, "notifySend(path, state): path must begin with / or @ and have at most 107 bytes");
  if (!addon_text(env, arguments[1], state, sizeof state) || state[0] == '\0')
    return addon_bad(env, "notifySend(path, state): state must be a string of 1 to 4095 bytes");
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // Linux's abstract namespace
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return addon_errno(env, errno, "making a notification socket");
  // Never waits: a service manager that does not read must not hold up the event loop.
  ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, length);
  int error = errno;
  close(fd);
  return sent < 0 ? addon_errno(env, error, "notifying the service manager") : NULL;
}

// Ends the process at a time, whatever its event loop or the end of the process itself waits for: exit() joins threads that may hang.
static void *exit_later(void *wait) {
  usleep((useconds_t)(uintptr_t)wait);
  _exit(0);
}

static napi_value exit_within(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  uint32_t ms;
  pthread_t thread;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!addon_u32(env, argument, &ms) || ms > 60000) return addon_bad(env, "exitWithin(ms): expected 0 to 60000");
  int error = pthread_create(&thread, NULL, exit_later, (void *)(uintptr_t)(ms * 1000u));
  if (error != 0) return addon_errno(env, error, "starting a thread");
  pthread_detach(thread);
  return NULL;
}

void register_notify(napi_env env, napi_value exports) {
  addon_function(env, exports, "notifySend", notify_send);
  addon_function(env, exports, "exitWithin", exit_within);
}
