#include "poll.h"
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  napi_ref callback;
  napi_ref keeper;
  void *owner;
  watch_ready ready;
  struct watch **slot;
};

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct watch *watch = poll->data;
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  watch->ready(watch->owner, status < 0 ? -status : 0);
  napi_close_handle_scope(env, scope);
}

// libuv is done with the handle: only now may its memory go, and only now may the environment go on ending.
static void on_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  napi_async_cleanup_hook_handle hook = watch->hook;
  napi_async_destroy(watch->env, watch->context);
  free(watch);
  napi_remove_async_cleanup_hook(hook);
}

// A Worker or the process ends. If the watch is closing already, on_closed is on its way.
static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct watch *watch = data;
  if (watch->slot != NULL) watch_close(watch);
}

bool watch_open(napi_env env, int fd, const char *name, napi_value keeper, napi_value callback, void *owner,
                watch_ready ready, struct watch **slot) {
  uv_loop_t *loop;
  napi_value label;
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    free(watch);
    addon_errno(env, ENOMEM, "watching a file descriptor");
    return false;
  }
  int failed = uv_poll_init(loop, &watch->poll, fd);
  if (failed != 0) {
    free(watch);
    addon_errno(env, -failed, "watching a file descriptor");
    return false;
  }
  watch->poll.data = watch;
  watch->env = env;
  watch->owner = owner;
  watch->ready = ready;
  watch->slot = slot;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label);
  napi_async_init(env, NULL, label, &watch->context);
  napi_create_reference(env, callback, 1, &watch->callback);
  napi_create_reference(env, keeper, 1, &watch->keeper);
  napi_add_async_cleanup_hook(env, on_environment_end, watch, &watch->hook);
  *slot = watch;
  return true;
}

void watch_start(struct watch *watch, int events) { uv_poll_start(&watch->poll, events, on_poll); }

void watch_stop(struct watch *watch) { uv_poll_stop(&watch->poll); }

void watch_call(struct watch *watch, size_t count, const napi_value *arguments) {
  napi_env env = watch->env;
  napi_value callback, receiver, ignored, error;
  bool thrown = false;
  if (napi_get_reference_value(env, watch->callback, &callback) != napi_ok) return;
  if (napi_get_global(env, &receiver) != napi_ok) return;
  if (napi_make_callback(env, watch->context, receiver, callback, count, arguments, &ignored) == napi_ok) return;
  // No pending exception means that JavaScript may not run any more: a Worker that is being terminated.
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void watch_close(struct watch *watch) {
  *watch->slot = NULL;
  watch->slot = NULL;
  napi_delete_reference(watch->env, watch->callback);
  napi_delete_reference(watch->env, watch->keeper);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
}
