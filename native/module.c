// The addon's entry point: the list of its parts.
#include "acceptor/napi.h"
#include "client/napi.h"
#include "crypto/napi.h"
#include "ecdaa/napi.h"
#include "files/napi.h"
#include "net/napi.h"
#include "pkcs11/napi.h"
#include "pki/napi.h"
#include "router/napi/napi.h"
#include "tpm/napi.h"
#include "xtt/napi.h"
#include <malloc.h>

// Threads that come from here on share the arenas of malloc that there are. With one for each, what one thread frees serves no
// other, and a process that runs for months grows in small steps; nothing here allocates often enough to stand in line.
static void share_arenas(void) {
#ifdef M_ARENA_MAX
  mallopt(M_ARENA_MAX, 2);
#endif
}

// Small pieces that are freed are joined with their neighbours at once, unless their thread keeps them for itself. malloc would put them aside, and
// join all of them each time that a large piece is freed: node frees many, and a loaded identity server spent a twentieth of its time on that.
static void join_freed_pieces(void) {
#ifdef M_MXFAST
  mallopt(M_MXFAST, 0);
#endif
}

NAPI_MODULE_INIT() {
  share_arenas();
  join_freed_pieces();
  register_tss(env, exports);
  register_socket(env, exports);
  register_notify(env, exports);
  register_files(env, exports);
  register_dataplane(env, exports);
  register_icmp6(env, exports);
  register_netlink(env, exports);
  register_routes(env, exports);
  register_router(env, exports);
  register_listener(env, exports);
  register_acceptor(env, exports);
  register_p256(env, exports);
  register_x25519(env, exports);
  register_hashes(env, exports);
  register_xtt(env, exports);
  register_pki(env, exports);
  register_pkcs11(env, exports);
#ifdef ENF_ECDAA
  register_ecdaa(env, exports);
#endif
  return exports;
}
