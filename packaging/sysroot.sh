#!/usr/bin/env bash
# The libraries and headers that the addon is linked with on another architecture, of the Debian that this machine has. Prints their folder.
#   packaging/sysroot.sh ARCH
# Nothing of this system changes, and nothing runs in it: packages are unpacked into .cache, and need a network only the first time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
arch=$1
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
place=$root/.cache/sysroot-$suite-$arch
if [ ! -e "$place/.complete" ]; then
  command -v mmdebstrap >/dev/null || { echo "sysroot.sh: install mmdebstrap" >&2; exit 1; }
  rm -rf "$place"
  mmdebstrap --quiet --mode=root --variant=extract --architectures="$arch" --include=libc6-dev,libtss2-dev "$suite" "$place" \
    "deb http://deb.debian.org/debian $suite main" >&2
  touch "$place/.complete"
fi
echo "$place"
