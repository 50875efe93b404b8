#!/usr/bin/env bash
# Builds the addon into dist/enf.node. No node-gyp: N-API and OpenSSL symbols come from the node binary itself.
# Compiles only what has changed since the last build with the same compiler and flags; .cache/native keeps the objects.
#   CC            the C compiler; set it (with PKG_CONFIG) to cross-build, e.g. CC=aarch64-linux-gnu-gcc
#   NODE_INCLUDE  folder of node_api.h and openssl/; found beside the node binary by default
#   EXTRA_CFLAGS  more flags, e.g. -DFP256BN_PORTABLE: no assembly; -DFP256BN_NARROW besides: no 128-bit integers, as on 32-bit processors
#   OUT           where the addon goes
#   ECDAA=0       without the native ECDAA: programs use the TypeScript version
#   SANITIZE=1    AddressSanitizer and UndefinedBehaviorSanitizer
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-gcc}
pkg=${PKG_CONFIG:-pkg-config}
out=$(realpath -m "${OUT:-$here/../dist/enf.node}")
part=$out.$$
trap 'rm -f "$part"' EXIT
if [ -z "${NODE_INCLUDE:-}" ]; then
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  for folder in "$prefix/include/node" /usr/include/node; do
    if [ -e "$folder/node_api.h" ]; then NODE_INCLUDE=$folder; break; fi
  done
fi
[ -n "${NODE_INCLUDE:-}" ] || { echo "native/build.sh: node_api.h not found; set NODE_INCLUDE to node's include folder" >&2; exit 1; }
tss="tss2-esys tss2-sys tss2-mu tss2-tctildr tss2-rc"
$pkg --exists $tss || { echo "native/build.sh: tpm2-tss headers not found; install libtss2-dev and pkg-config" >&2; exit 1; }
flags="-std=gnu11 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wno-deprecated-declarations"
flags="$flags -D_GNU_SOURCE -DNAPI_VERSION=8 ${EXTRA_CFLAGS:-}"
[ -z "${SANITIZE:-}" ] || flags="$flags -O1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined"
without=()
if [ "${ECDAA:-1}" = 1 ]; then
  flags="$flags -DENF_ECDAA"
else
  without=(-not -path './ecdaa/*' -not -path './fp256bn/*')
fi
# The same order everywhere: the same sources give the same bytes.
mapfile -t sources < <(cd "$here" && find . -name '*.c' "${without[@]}" -printf '%P\n' | LC_ALL=C sort)

# Objects are kept for the next build, in a folder for each compiler, set of flags and set of headers.
compiling=$(printf '%s\n' $flags | grep -v '^-Wl,' | tr '\n' ' ')
export NODE_INCLUDE COMPILE="$cc $compiling $($pkg --cflags $tss)"
key=$({ $cc -v 2>&1; echo "$COMPILE"; $pkg --modversion $tss; echo "$NODE_INCLUDE"; cat "$NODE_INCLUDE/node_version.h"; } | sha256sum | cut -c 1-16)
objects=../.cache/native/$key
mkdir -p "$here/$objects" "$(dirname "$out")"
# Two builds with the same flags take turns. make's settings are not those of a make that called this script.
exec 9>"$here/$objects/lock"
flock 9
(cd "$here" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -j"$(nproc)" SOURCES="${sources[*]}" OBJECTS="$objects") 9>&-
# now: a missing symbol fails at load, not at first use; nodelete: a Worker's exit must not unload code under a running thread.
(cd "$here/$objects" && $cc $flags -shared "${sources[@]/%.c/.o}" $($pkg --libs $tss) -lpthread -Wl,-z,now,-z,nodelete -o "$part")
exec 9>&-
# What this machine can run is loaded once, so that a missing symbol is found here and not by a user.
if [ -z "${CC:-}${SANITIZE:-}" ]; then
  node -e 'process.dlopen({ exports: {} }, process.argv[1])' "$part"
fi
mv "$part" "$out"
