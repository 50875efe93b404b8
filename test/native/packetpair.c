// A pair of sockets that keep packets apart, for tests in which one of them stands for a TUN device.
#include <node_api.h>
#include <sys/socket.h>

static napi_value packet_pair(napi_env env, napi_callback_info info) {
  napi_value array, number;
  int ends[2], room = 4 << 20;
  (void)info;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
    napi_throw_error(env, NULL, "socketpair");
    return NULL;
  }
  napi_create_array(env, &array);
  for (uint32_t i = 0; i < 2; i++) {
    setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    napi_create_int32(env, ends[i], &number);
    napi_set_element(env, array, i, number);
  }
  return array;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "packetPair", NAPI_AUTO_LENGTH, packet_pair, NULL, &function);
  napi_set_named_property(env, exports, "packetPair", function);
  return exports;
}
