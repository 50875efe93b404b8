#!/usr/bin/env bash
# Fuzzes the decoders of the native ECDAA with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang.
#   test/fuzz/ecdaa.sh [seconds]     60 by default; the corpus is kept in .cache/fuzz-ecdaa
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/.cache/fuzz-ecdaa
command -v clang >/dev/null || { echo "ecdaa.sh: clang is not installed: apt-get install clang" >&2; exit 1; }
mkdir -p "$work/corpus"
node --input-type=module - "$root/test/vectors/ecdaa.json" "$work" <<'SEEDS'
import { readFileSync, writeFileSync } from 'node:fs';
const [path, work] = process.argv.slice(2);
const vectors = JSON.parse(readFileSync(path, 'utf8'));
const bytes = (hex) => [...Buffer.from(hex, 'hex')].join(',');
writeFileSync(`${work}/seeds.h`, `static const uint8_t GPK[] = {${bytes(vectors.issuers[0].gpk)}};\n`);
let count = 0;
const seed = (target, hex) => writeFileSync(`${work}/corpus/seed-${count++}`, Buffer.from(target + hex, 'hex'));
for (const { bytes } of vectors.point_deserialize) seed('00', bytes);
for (const { gpk } of vectors.issuers) seed('01', gpk.slice(0, 258));
for (const { draw } of vectors.random_mod_order) seed('02', draw);
for (const { gpk } of vectors.issuers) seed('03', gpk);
for (const { signature, message } of vectors.signatures) seed('04', signature + message);
for (const { sk, credential } of vectors.members)
  seed('05', sk + credential.credential + [...vectors.signatures[0].random_draws].join(''));
SEEDS
include=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node
sources=()
for source in "$root"/native/ecdaa*.c "$root"/native/fp256bn*.c; do
  case $source in *_napi.c) ;; *) sources+=("$source") ;; esac
done
clang -std=gnu11 -O1 -g -D_GNU_SOURCE -Wno-deprecated-declarations -fsanitize=fuzzer,address,undefined \
  -fno-sanitize-recover=undefined -I"$root/native" -I"$work" -I"$include" "$root/test/fuzz/ecdaa.c" "${sources[@]}" \
  -l:libcrypto.so.3 -o "$work/fuzz"
cd "$work"
exec ./fuzz -max_total_time="${1:-60}" -max_len=700 -print_final_stats=1 corpus
