#!/usr/bin/env bash
# Fuzzes the decoders of the native ECDAA with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang.
#   test/fuzz/ecdaa.sh [SECONDS [TARGET...]]     for each target, 60 by default; all: g1 g2 scalar group signature credential
# Inputs that reach new code are kept in .cache/fuzz-ecdaa/TARGET, findings in .cache/fuzz-ecdaa/TARGET-*.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/.cache/fuzz-ecdaa
. "$root/test/fuzz/clang.sh"
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(g1 g2 scalar group signature credential)
for target in g1 g2 scalar group signature credential; do mkdir -p "$work/$target"; done
node --input-type=module - "$root/test/vectors/ecdaa.json" "$work" <<'SEEDS'
import { readFileSync, writeFileSync } from 'node:fs';
const [path, work] = process.argv.slice(2);
const vectors = JSON.parse(readFileSync(path, 'utf8'));
const bytes = (hex) => [...Buffer.from(hex, 'hex')].join(',');
writeFileSync(`${work}/seeds.h`, `static const uint8_t GPK[] = {${bytes(vectors.issuers[0].gpk)}};\n`);
let count = 0;
const seed = (target, hex) => writeFileSync(`${work}/${target}/seed-${count++}`, Buffer.from(hex, 'hex'));
for (const { bytes } of vectors.point_deserialize) seed('g1', bytes);
for (const { gpk } of vectors.issuers) seed('g2', gpk.slice(0, 258));
for (const { draw } of vectors.random_mod_order) seed('scalar', draw);
for (const { gpk } of vectors.issuers) seed('group', gpk);
for (const { signature, message } of vectors.signatures) seed('signature', signature + message);
for (const { sk, credential } of vectors.members)
  seed('credential', sk + credential.credential + [...vectors.signatures[0].random_draws].join(''));
SEEDS
include=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node
sources=()
for source in "$root"/native/ecdaa/*.c "$root"/native/fp256bn/*.c; do
  case $source in */napi.c | */host_arithmetic.c) ;; *) sources+=("$source") ;; esac
done
"$clang" -std=gnu11 -O1 -g -D_GNU_SOURCE -Wno-deprecated-declarations -fsanitize=fuzzer,address,undefined \
  -fno-sanitize-recover=undefined -iquote "$root/native" -I"$work" -I"$include" "$root/test/fuzz/ecdaa.c" "${sources[@]}" \
  -l:libcrypto.so.3 -o "$work/fuzz"
cd "$work"
for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  ECDAA_TARGET=$target ./fuzz -max_total_time="$seconds" -max_len=700 -print_final_stats=1 -artifact_prefix="$target-" \
    "$target" 2>&1 | tail -n 12 || { echo "test/fuzz/ecdaa.sh: $target found something" >&2; exit 1; }
done
