#include "module.h"

void register_net(napi_env env, napi_value exports) {
  register_socket(env, exports);
  register_notify(env, exports);
  register_dataplane(env, exports);
  register_netlink(env, exports);
  register_router(env, exports);
  register_listener(env, exports);
  register_acceptor(env, exports);
}
