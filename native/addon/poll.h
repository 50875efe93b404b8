// A poll handle: one file descriptor in Node's event loop, and the JavaScript callback for its events.
#pragma once
#include "arguments.h"

struct poll;
// Runs on the loop's thread inside a handle scope. `error` is 0, or an errno if the descriptor can no longer be polled.
typedef void (*poll_ready)(void *owner, int error);

// A poll over `fd`, not yet started; it keeps `keeper` (the JavaScript handle of `owner`) alive until it is closed.
// `*slot` points to it until then, also when the environment ends. False with a JavaScript exception pending if it fails.
// The descriptor stays the owner's.
bool poll_open(napi_env env, int fd, const char *name, napi_value keeper, napi_value callback, void *owner,
               poll_ready ready, struct poll **slot);
// Only a started poll keeps the event loop alive. `events` are UV_READABLE or UV_WRITABLE.
void poll_start(struct poll *poll, int events);
void poll_stop(struct poll *poll);
// Calls the JavaScript callback; an exception in it becomes an uncaught one. The poll may be closed afterwards.
void poll_call(struct poll *poll, size_t count, const napi_value *arguments);
// Ends it and clears `*slot`; the descriptor may be closed or passed on at once. Allowed inside the callback.
void poll_close(struct poll *poll);
