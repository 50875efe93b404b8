// flock(2), which Node does not have: a lock that the kernel takes back when the program ends, however it ends.
#include "napi.h"
#include "addon/arguments.h"
#include <errno.h>
#include <limits.h>
#include <sys/file.h>

static napi_value file_lock(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  uint32_t fd;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (!addon_u32(env, argument, &fd) || fd > INT_MAX) return addon_bad(env, "fileLock(descriptor)");
  bool locked = flock((int)fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return addon_errno(env, errno, "locking a file");
  napi_get_boolean(env, locked, &result);
  return result;
}

void register_files(napi_env env, napi_value exports) { addon_function(env, exports, "fileLock", file_lock); }
