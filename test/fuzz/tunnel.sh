#!/usr/bin/env bash
# Fuzzes the data plane's parsers, and the router's rules, with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang.
#   test/fuzz/tunnel.sh [SECONDS]     for each target, 60 by default; findings stay in .cache/fuzz/
# New inputs that reach new code go to .cache/fuzz/<target>; test/fuzz/corpus/<target> are the ones to begin with.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
. test/fuzz/clang.sh
mkdir -p .cache/fuzz
flags="-std=gnu11 -O1 -g -D_GNU_SOURCE -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
parts="-iquote native native/packet/checksum.c native/packet/packet.c native/packet/frame.c native/packet/segment.c native/dataplane/gro.c native/transport/pool.c native/transport/fq.c native/dataplane/egress.c native/dataplane/ingress.c native/dataplane/heartbeat.c"
rules="-iquote native native/packet/packet.c native/packet/checksum.c native/packet/tuple.c native/router/rules/rules.c native/router/rules/flows.c"
# node's headers have OpenSSL's.
rules="$rules -I$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node -I/usr/include/node"
for target in tunnelframes tunnelegress rules; do
  needed=$parts
  [ "$target" != rules ] || needed=$rules
  "$clang" $flags -o ".cache/fuzz/$target.bin" "test/fuzz/$target.c" $needed
  mkdir -p ".cache/fuzz/$target"
  echo "== $target, $seconds s"
  ".cache/fuzz/$target.bin" -max_total_time="$seconds" -max_len=70000 -timeout=10 -print_final_stats=1 \
    -artifact_prefix=".cache/fuzz/$target-" ".cache/fuzz/$target" "test/fuzz/corpus/$target" 2>&1 | tail -n 12 || { echo "test/fuzz/tunnel.sh: $target found something" >&2; exit 1; }
done
