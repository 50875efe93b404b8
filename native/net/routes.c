// Routes of tunnels in the kernel for JavaScript (routes.ts). The kernel's work is done in libuv's threads, one piece of it at a time.
#include "addon/arguments.h"
#include "addon/handle.h"
#include "napi.h"
#include "rtnetlink.h"
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>

enum { MOST_CHANGES = 65536, MOST_WANTED = 4000000 };

struct routes {
  struct rt_table table;
  bool busy, closed;
};

struct work {
  napi_async_work work;
  napi_ref keeper, callback;  // keeper: the handle, which must not be released meanwhile
  struct routes *routes;
  bool reconcile;
  int error;
  struct rt_reconciled reconciled;
  uint8_t *outcomes;
  size_t count;
  struct rt_route list[];
};

static const napi_type_tag ROUTES = {0x4c1f6f0a93d24b7e, 0xa4e85d1270bb3c69};

static void release_routes(void *data) {
  struct routes *routes = data;
  rt_close(&routes->table);
  free(routes);
}

// routesOpen(device, table, protocol)
static napi_value open_call(napi_env env, napi_callback_info info) {
  static const char *const doing = "opening a netlink socket for routes";
  napi_value arguments[3];
  size_t count = 3;
  char device[IF_NAMESIZE];
  uint32_t table, protocol;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (!addon_text(env, arguments[0], device, sizeof device) || !addon_u32(env, arguments[1], &table) || table == 0 ||
      !addon_u32(env, arguments[2], &protocol) || protocol == 0 || protocol > UINT8_MAX)
    return addon_bad(env, "routesOpen(device, table, protocol): expected an interface's name, a number that is not 0, and 1 to 255");
  struct routes *routes = calloc(1, sizeof *routes);
  if (routes == NULL) return addon_errno(env, ENOMEM, doing);
  routes->table = (struct rt_table){.fd = -1, .device = if_nametoindex(device), .table = table, .protocol = (uint8_t)protocol};
  int error = routes->table.device == 0 ? ENODEV : rt_open(&routes->table);
  if (error != 0) {
    release_routes(routes);
    return addon_errno(env, error, doing);
  }
  return handle_new(env, &ROUTES, routes, release_routes);
}

// routesPort(routes)
static napi_value port_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct routes *routes = handle_data(env, argument, &ROUTES);
  if (routes == NULL) return addon_bad(env, "routesPort(routes): not a handle of routes");
  return addon_new_number(env, routes->table.port);
}

static void work_off(napi_env env, void *data) {
  struct work *work = data;
  (void)env;
  work->error = work->reconcile ? rt_reconcile(&work->routes->table, work->list, work->count, &work->reconciled)
                                : rt_change(&work->routes->table, work->list, work->count, work->outcomes);
}

static void free_work(napi_env env, struct work *work) {
  if (work->keeper != NULL) napi_delete_reference(env, work->keeper);
  if (work->callback != NULL) napi_delete_reference(env, work->callback);
  if (work->work != NULL) napi_delete_async_work(env, work->work);
  free(work->outcomes);
  free(work);
}

static napi_value described(napi_env env, const struct work *work) {
  const struct rt_reconciled *done = &work->reconciled;
  napi_value object;
  if (!work->reconcile) return addon_new_bytes(env, work->outcomes, work->count);
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  addon_set(env, object, "added", addon_new_number(env, done->added));
  addon_set(env, object, "removed", addon_new_number(env, done->removed));
  addon_set(env, object, "failed", addon_new_number(env, done->failed));
  if (done->failed > 0) addon_set(env, object, "error", addon_error(env, done->error, "changing a route"));
  return object;
}

static void finish(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  struct routes *routes = work->routes;
  napi_value callback = NULL, receiver = addon_undefined(env), arguments[2] = {addon_undefined(env), addon_undefined(env)};
  routes->busy = false;
  if (routes->closed) rt_close(&routes->table);
  int error = status == napi_ok ? work->error : ECANCELED;
  if (error != 0) arguments[0] = addon_error(env, error, work->reconcile ? "reconciling routes" : "changing routes");
  else if ((arguments[1] = described(env, work)) == NULL) arguments[0] = addon_error(env, ENOMEM, "changing routes");
  bool called = napi_get_reference_value(env, work->callback, &callback) == napi_ok && callback != NULL;
  free_work(env, work);
  if (called) napi_call_function(env, receiver, callback, arguments[1] == NULL ? 1 : 2, arguments, NULL);
}

static struct work *new_work(const uint8_t *bytes, size_t count, bool reconcile) {
  struct work *work = calloc(1, sizeof *work + count * sizeof *work->list);
  if (work == NULL) return NULL;
  work->reconcile = reconcile;
  work->count = count;
  work->outcomes = malloc(count + 1);
  bool read = work->outcomes != NULL;
  for (size_t i = 0; i < count && read; i++) read = rt_read(bytes + RT_ENTRY * i, &work->list[i]) && !(reconcile && work->list[i].remove);
  if (read) return work;
  free(work->outcomes);
  free(work);
  return NULL;
}

static napi_value begin(napi_env env, napi_callback_info info, bool reconcile) {
  static const char *const doing = "changing routes";
  napi_value arguments[3];
  size_t count = 3, length = 0, most = reconcile ? MOST_WANTED : MOST_CHANGES;
  uint8_t *bytes = NULL;
  napi_valuetype type;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct routes *routes = handle_data(env, arguments[0], &ROUTES);
  if (routes == NULL || !addon_bytes(env, arguments[1], &bytes, &length) || length % RT_ENTRY != 0 || length / RT_ENTRY > most ||
      napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function)
    return addon_bad(env, "routesChange(routes, entries, onDone): expected a handle, 24 bytes for each route and a function");
  if (routes->closed) return addon_errno(env, EBADF, doing);
  if (routes->busy) return addon_errno(env, EALREADY, doing);
  struct work *work = new_work(bytes, length / RT_ENTRY, reconcile);
  if (work == NULL) return addon_bad(env, "routesChange(routes, entries, onDone): a route is not as it should be, or there is no memory");
  work->routes = routes;
  if (napi_create_reference(env, arguments[0], 1, &work->keeper) != napi_ok ||
      napi_create_reference(env, arguments[2], 1, &work->callback) != napi_ok ||
      napi_create_async_work(env, NULL, addon_new_text(env, "enf.routes"), work_off, finish, work, &work->work) != napi_ok ||
      napi_queue_async_work(env, work->work) != napi_ok) {
    free_work(env, work);
    return addon_errno(env, ENOMEM, doing);
  }
  routes->busy = true;
  return NULL;
}

static napi_value change_call(napi_env env, napi_callback_info info) { return begin(env, info, false); }

static napi_value reconcile_call(napi_env env, napi_callback_info info) { return begin(env, info, true); }

// routesClose(routes)
static napi_value close_call(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct routes *routes = handle_data(env, argument, &ROUTES);
  if (routes == NULL) return addon_bad(env, "routesClose(routes): not a handle of routes");
  routes->closed = true;
  if (!routes->busy) rt_close(&routes->table);
  return NULL;
}

void register_routes(napi_env env, napi_value exports) {
  addon_function(env, exports, "routesOpen", open_call);
  addon_function(env, exports, "routesPort", port_call);
  addon_function(env, exports, "routesChange", change_call);
  addon_function(env, exports, "routesReconcile", reconcile_call);
  addon_function(env, exports, "routesClose", close_call);
}
