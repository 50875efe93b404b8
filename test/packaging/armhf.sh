#!/usr/bin/env bash
# The packages for armhf, which this machine's processor does not run: built twice with the same bytes, checked by lintian, and run by
# qemu-arm with the Node.js and the libraries of Debian 13. Called by "npm run test:deb -- --arch armhf".
# Needs root and mmdebstrap; installs a cross compiler and qemu-user-static. Changes nothing else on this machine but .cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
step() { printf '\033[1m==> %s\033[0m\n' "$*"; }
bash setup.sh --tests
packages=()
[ -e /usr/bin/arm-linux-gnueabihf-gcc ] || packages+=(gcc-arm-linux-gnueabihf)
[ -e /usr/bin/qemu-arm-static ] || packages+=(qemu-user-static)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
mkdir -p .cache
work=$(mktemp -d "$root/.cache/armhf-XXXXXX")
trap 'rm -rf "$work"' EXIT

step "built twice"
for turn in 1 2; do bash packaging/deb.sh --arch armhf --out "$work/$turn"; done
for package in "$work"/1/*.deb; do cmp "$package" "$work/2/${package##*/}"; done
if bash packaging/deb.sh fabric --arch armhf --out "$work/refused" 2>/dev/null; then
  echo "armhf.sh: a fabric was built for armhf" >&2
  exit 1
fi

step "lintian"
lintian --fail-on error,warning --tag-display-limit 0 "$work"/1/*.deb

step "Debian 13 for armhf"
base=$root/.cache/debian-trixie-armhf.tar
libraries=libtss2-esys-3.0.2-0t64,libtss2-mu-4.0.1-0t64,libtss2-rc0t64,libtss2-tctildr0t64
[ -e "$base" ] || {
  mmdebstrap --quiet --mode=root --variant=extract --format=tar --architectures=armhf --include="nodejs,$libraries" trixie "$base.new" \
    "deb http://deb.debian.org/debian trixie main"
  mv "$base.new" "$base"
}
mkdir "$work/root"
tar -C "$work/root" -xf "$base"
# What the script of base-files would have made.
[ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
for package in "$work"/1/*.deb; do dpkg-deb -x "$package" "$work/root"; done

step "on an emulated processor"
ENF_ARMHF_ROOT=$work/root npx vitest run test/armhf
CC="arm-linux-gnueabihf-gcc --sysroot=$(bash packaging/sysroot.sh armhf)" RUNNER="qemu-arm-static -L $work/root" \
  npx vitest run -t 'as shipped' test/native/packet/packet.test.ts test/native/dataplane/gro.test.ts
