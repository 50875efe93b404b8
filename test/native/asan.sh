#!/usr/bin/env bash
# The native tests, and those of the router, the acceptor and decoders, with the addon built for AddressSanitizer and UndefinedBehaviorSanitizer; arguments go to vitest.
# ASAN_TESTS names other tests.
# LeakSanitizer stays off: it cannot see what V8 still refers to, and would report all of that.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$PWD/.cache/asan
mkdir -p "$folder"
SANITIZE=1 OUT="$folder/enf.node" bash native/build.sh

preload=$(${CC:-gcc} -print-file-name=libasan.so)
sanitized() {
  env LD_PRELOAD="$preload" ASAN_OPTIONS=detect_leaks=0:exitcode=86 UBSAN_OPTIONS=print_stacktrace=1 ENF_ADDON="$folder/enf.node" "$@"
}

# A run in which nothing could be found proves nothing: an addon with a bug has to be caught first.
printf '%s\n' '#include <stdlib.h>' 'void *napi_register_module_v1(void *env, void *exports) {' \
  '  volatile char *four = malloc(4); (void)env; four[4] = 1; return exports; }' >"$folder/bug.c"
${CC:-gcc} -shared -fPIC -g -fsanitize=address -o "$folder/bug.node" "$folder/bug.c"
if sanitized node -e 'require(process.argv[1])' "$folder/bug.node" >"$folder/bug.txt" 2>&1 ||
  ! grep -q heap-buffer-overflow "$folder/bug.txt"; then
  echo "test/native/asan.sh: the sanitizer did not catch a deliberate overflow" >&2
  cat "$folder/bug.txt" >&2
  exit 1
fi

# The tests of the build make addons of their own, without the sanitizers.
read -ra tests <<<"${ASAN_TESTS:-test/native test/fabric/router test/fuzz test/os/net/acceptor test/crypto/curves.test.ts test/crypto/stateless-server.test.ts test/os/net/proxy.test.ts}"
sanitized node node_modules/vitest/vitest.mjs run "${tests[@]}" \
  --exclude test/native/build.test.ts --exclude test/native/ecdaa/build.test.ts "$@"
