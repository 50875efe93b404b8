// One file descriptor in Node's event loop and the JavaScript callback that it wakes.
#pragma once
#include "arguments.h"

struct watch;
// Runs on the loop's thread inside a handle scope. `error` is 0, or an errno if the descriptor can no longer be polled.
typedef void (*watch_ready)(void *owner, int error);

// A watch over `fd`, not yet started; it keeps `keeper` (the JavaScript handle of `owner`) alive until it is closed.
// `*slot` points to it until then, also when the environment ends. False with a JavaScript exception pending if it fails.
// The descriptor stays the owner's.
bool watch_open(napi_env env, int fd, const char *name, napi_value keeper, napi_value callback, void *owner,
                watch_ready ready, struct watch **slot);
// Only a started watch keeps the event loop alive. `events` are UV_READABLE or UV_WRITABLE.
void watch_start(struct watch *watch, int events);
void watch_stop(struct watch *watch);
// Calls the JavaScript callback; an exception in it becomes an uncaught one. The watch may be closed afterwards.
void watch_call(struct watch *watch, size_t count, const napi_value *arguments);
// Ends it and clears `*slot`; the descriptor may be closed or handed on at once. Allowed inside the callback.
void watch_close(struct watch *watch);
