#include "poll.h"
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct poll {
  uv_poll_t handle;
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  napi_ref callback;
  napi_ref keeper;
  void *owner;
  poll_ready ready;
  struct poll **slot;
};

static void on_poll(uv_poll_t *handle, int status, int events) {
  (void)events;
  struct poll *poll = handle->data;
  napi_env env = poll->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  poll->ready(poll->owner, status < 0 ? -status : 0);
  napi_close_handle_scope(env, scope);
}

// libuv no longer uses the handle: only now its memory may be freed, and the environment's end may go on.
static void on_closed(uv_handle_t *handle) {
  struct poll *poll = handle->data;
  napi_async_cleanup_hook_handle hook = poll->hook;
  napi_async_destroy(poll->env, poll->context);
  free(poll);
  napi_remove_async_cleanup_hook(hook);
}

// A Worker or the process ends. If the poll is closing already, on_closed is on its way.
static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct poll *poll = data;
  if (poll->slot != NULL) poll_close(poll);
}

bool poll_open(napi_env env, int fd, const char *name, napi_value keeper, napi_value callback, void *owner,
               poll_ready ready, struct poll **slot) {
  uv_loop_t *loop;
  napi_value label;
  struct poll *poll = calloc(1, sizeof *poll);
  if (poll == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    free(poll);
    addon_errno(env, ENOMEM, "watching a file descriptor");
    return false;
  }
  int failed = uv_poll_init(loop, &poll->handle, fd);
  if (failed != 0) {
    free(poll);
    addon_errno(env, -failed, "watching a file descriptor");
    return false;
  }
  poll->handle.data = poll;
  poll->env = env;
  poll->owner = owner;
  poll->ready = ready;
  poll->slot = slot;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label);
  napi_async_init(env, NULL, label, &poll->context);
  napi_create_reference(env, callback, 1, &poll->callback);
  napi_create_reference(env, keeper, 1, &poll->keeper);
  napi_add_async_cleanup_hook(env, on_environment_end, poll, &poll->hook);
  *slot = poll;
  return true;
}

void poll_start(struct poll *poll, int events) { uv_poll_start(&poll->handle, events, on_poll); }

void poll_stop(struct poll *poll) { uv_poll_stop(&poll->handle); }

void poll_call(struct poll *poll, size_t count, const napi_value *arguments) {
  napi_env env = poll->env;
  napi_value callback, receiver, ignored, error;
  bool thrown = false;
  if (napi_get_reference_value(env, poll->callback, &callback) != napi_ok) return;
  if (napi_get_global(env, &receiver) != napi_ok) return;
  if (napi_make_callback(env, poll->context, receiver, callback, count, arguments, &ignored) == napi_ok) return;
  // No pending exception means that JavaScript may not run any more: a Worker that is being terminated.
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void poll_close(struct poll *poll) {
  *poll->slot = NULL;
  poll->slot = NULL;
  napi_delete_reference(poll->env, poll->callback);
  napi_delete_reference(poll->env, poll->keeper);
  uv_close((uv_handle_t *)&poll->handle, on_closed);
}
