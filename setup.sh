#!/usr/bin/env bash
# Installs what the project needs on a fresh Debian machine (run as root): Debian packages, npm packages, the build.
#   setup.sh [--tests] [--cluster] [--no-build]
#     --tests      also what only the tests use: a browser, emulators, checkers
#     --cluster    also what a fabric on several hosts uses: PostgreSQL, BIRD
#     --no-build   stops before the build
# Does nothing that is already done.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'setup: %s\n  → %s\n' "$1" "$2" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "this needs root (packages, network namespaces, TUN)" "run it with sudo, or in a root shell"
command -v node >/dev/null || die "node is not installed" "install Node.js 20 or newer (https://nodejs.org, or your distribution's nodejs package)"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || die "node $(node --version) is too old, 20 or newer is needed" "install Node.js 20 or newer"

for_tests= for_cluster= build=yes
for argument in "$@"; do
  case $argument in
    --tests) for_tests=yes for_cluster=yes ;;
    --cluster) for_cluster=yes ;;
    --no-build) build= ;;
    *) die "unknown argument $argument" "see the head of setup.sh" ;;
  esac
done

# What the programs, the demo and the tests use; each with the file that proves it is there.
packages=()
need() { [ -e "$2" ] || packages+=("$1"); }
need gcc /usr/bin/gcc
need g++ /usr/bin/g++
need libc6-dev /usr/include/stdio.h
need make /usr/bin/make
need python3 /usr/bin/python3
need pkg-config /usr/bin/pkg-config
need libtss2-dev /usr/include/tss2/tss2_esys.h
need swtpm /usr/bin/swtpm
need iproute2 /usr/sbin/ip
need nftables /usr/sbin/nft
need iputils-ping /usr/bin/ping
if [ -n "$for_cluster" ]; then
  need postgresql /usr/bin/pg_lsclusters
  need bird2 /usr/sbin/bird
  need procps /usr/sbin/sysctl
  need util-linux /usr/bin/setpriv
fi
if [ -n "$for_tests" ]; then
  need tpm2-tools /usr/bin/tpm2_getcap
  need swtpm-tools /usr/bin/swtpm_setup
  need openssl /usr/bin/openssl
  need softhsm2 /usr/bin/softhsm2-util
  need opensc-pkcs11 "/usr/lib/$(uname -m)-linux-gnu/pkcs11-spy.so"
  need zbar-tools /usr/bin/zbarimg
  need imagemagick /usr/share/doc/imagemagick
  need poppler-utils /usr/bin/pdftoppm
  need strace /usr/bin/strace
  need valgrind /usr/bin/valgrind
  need chromium /usr/bin/chromium
  need curl /usr/bin/curl
  need wireguard-tools /usr/bin/wg
  need wireguard-go /usr/bin/wireguard-go
  need bind9-dnsutils /usr/bin/dig
  need isc-dhcp-client /usr/sbin/dhclient
  need procps /usr/bin/pkill
  need util-linux /usr/bin/setpriv
  need systemd /usr/bin/systemd-analyze
  need dpkg-dev /usr/bin/dpkg-shlibdeps
  need lintian /usr/bin/lintian
  need gnupg /usr/bin/gpg
  need mmdebstrap /usr/bin/mmdebstrap
  need kmod /usr/sbin/depmod
  need e2fsprogs /usr/sbin/mke2fs
  need qemu-system-common /usr/bin/qemu-storage-daemon
  case $(dpkg --print-architecture) in
    arm64) need qemu-system-arm /usr/bin/qemu-system-aarch64 ;;
    *) need qemu-system-x86 /usr/bin/qemu-system-x86_64 ;;
  esac
fi
if [ ${#packages[@]} -gt 0 ]; then
  step "Debian packages: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# OpenSSL's provider for PKCS#11. Debian 12 has it among its backports, on the same mirror; where that cannot be had, all else is tested.
if [ -n "$for_tests" ] && [ ! -e "/usr/lib/$(uname -m)-linux-gnu/ossl-modules/pkcs11.so" ]; then
  step "Debian package: pkcs11-provider"
  export DEBIAN_FRONTEND=noninteractive
  from=()
  . /etc/os-release
  backports=/etc/apt/sources.list.d/bookworm-backports.sources
  if [ "$VERSION_CODENAME" = bookworm ]; then
    [ -e "$backports" ] || [ ! -e /etc/apt/sources.list.d/debian.sources ] ||
      sed -n '/^$/q; s/^Suites:.*/Suites: bookworm-backports/; p' /etc/apt/sources.list.d/debian.sources >"$backports"
    from=(-t bookworm-backports)
  fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${from[@]}" pkcs11-provider >/dev/null; } ||
    { rm -f "$backports"; printf 'setup: pkcs11-provider cannot be installed: keys in PKCS#11 tokens are not tested\n' >&2; }
fi

stamp=node_modules/.enf-lock
if ! cmp -s package-lock.json "$stamp"; then
  step "npm packages (better-sqlite3 may compile for a minute or two)"
  # Headers that came with node spare node-gyp a download.
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ -e "$prefix/include/node/node.h" ] && export npm_config_nodedir=$prefix
  npm ci --loglevel=error
  cp package-lock.json "$stamp"
fi

[ -n "$build" ] || exit 0
step "build"
node build.mjs
