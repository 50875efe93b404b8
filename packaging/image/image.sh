#!/usr/bin/env bash
# Makes the image of a gateway, or an update for it. See docs/image.md.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
  cat <<'TEXT'
Makes a gateway's disk from Debian's archive and our package: UEFI, a read-only root in two slots, a data partition, the agent.

Usage: npm run image -- [options]

Options:
  --arch ARCH       amd64 or arm64 (default: this machine's; arm64 needs qemu-user-static and arch-test)
  --bundle          an update for such gateways (RAUC) instead of a disk
  --key FILE        signs the update, with --cert FILE (PEM); a disk trusts --cert, or the certificates in --keyring FILE
                    Without them a development key is made in .cache/image
  --version TEXT    version of the system (default: that of the package)
  --config DIR      files for the disk's configuration partition: agent.toml and others
  --include LIST    further packages of Debian, with commas between them
  --overlay DIR     files to lay over the root file system
  --slot-size MIB   size of each slot (default 768; updates have to fit in), --data-size MIB that of the data partition (default 192; it grows)
  --out FILE        default: dist/image/enf-gateway_VERSION_ARCH.img or .raucb
  --install-tools   first installs what this needs on Debian

Examples:
  npm run image -- --config my-site
  npm run image -- --bundle --version 1.1 --key release.key --cert release.pem

SOURCE_DATE_EPOCH is the time in all files (default: that of the last commit). Needs root. Exit codes: 0 done, 1 failed, 2 wrong usage.
TEXT
}
wrong() { printf 'image: %s\n  → %s\n' "$1" "npm run image -- --help" >&2; exit 2; }
die() { printf 'image: %s\n' "$1" >&2; exit 1; }
say() { printf 'image: %s\n' "$1" >&2; }

arch=$(dpkg --print-architecture) kind=disk key= cert= keyring= version= config= include= overlay= slot=768 data=192 out= install=
while [ $# -gt 0 ]; do
  case $1 in
    --bundle) kind=bundle; shift; continue ;;
    --install-tools) install=yes; shift; continue ;;
    --help) usage; exit 0 ;;
    --arch | --key | --cert | --keyring | --version | --config | --include | --overlay | --slot-size | --data-size | --out)
      [ $# -ge 2 ] || wrong "$1 needs a value" ;;
    *) wrong "unknown argument: $1" ;;
  esac
  case $1 in
    --arch) arch=$2 ;;
    --key) key=$2 ;;
    --cert) cert=$2 ;;
    --keyring) keyring=$2 ;;
    --version) version=$2 ;;
    --config) config=$2 ;;
    --include) include=$2 ;;
    --overlay) overlay=$2 ;;
    --slot-size) slot=$2 ;;
    --data-size) data=$2 ;;
    --out) out=$2 ;;
  esac
  shift 2
done
case $arch in
  amd64) efi=x64 grub=x86_64 consoles='console=tty0 console=ttyS0,115200' ;;
  arm64) efi=aa64 grub=arm64 consoles='console=tty0 console=ttyAMA0,115200' ;;
  *) wrong "--arch takes amd64 or arm64" ;;
esac
for number in "$slot" "$data"; do [[ $number =~ ^[0-9]{1,6}$ ]] || wrong "sizes are whole numbers of MiB"; done
for file in "$key" "$cert" "$keyring"; do [ -z "$file" ] || [ -r "$file" ] || die "cannot read $file"; done
for folder in "$config" "$overlay"; do [ -z "$folder" ] || [ -d "$folder" ] || die "no such folder: $folder"; done
[ -z "$key" ] || [ -n "$cert" ] || wrong "--key needs --cert"
[ $kind = disk ] || [ -z "$cert" ] || [ -n "$key" ] || wrong "--bundle --cert needs --key"
[ -z "$version" ] || [[ $version =~ ^[A-Za-z0-9][A-Za-z0-9.+~-]{0,63}$ ]] || wrong "--version takes letters, digits and .+~-"
[ "$(id -u)" = 0 ] || die "this needs root: packages run their scripts"

declare -A tools=([mmdebstrap]=mmdebstrap [mksquashfs]=squashfs-tools [rauc]=rauc [sfdisk]=fdisk [mkfs.fat]=dosfstools [mcopy]=mtools [mke2fs]=e2fsprogs [openssl]=openssl)
. "$here/base.sh"
require_tools "$install"
require_epoch

cache=$root/.cache/image
mkdir -p "$cache"
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$here/tree.sh"
. "$here/disk.sh"

if [ -z "$cert$keyring" ] || { [ $kind = bundle ] && [ -z "$key" ]; }; then
  key=$cache/development.key cert=$cache/development.pem
  [ -e "$cert" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -sha256 \
    -subj '/CN=enf-gateway development' -keyout "$key" -out "$cert" 2>/dev/null
  say "updates are signed with the development key $key: for tests, never for gateways in the field (see --key)"
fi

node "$root/build.mjs" bundles image >&2
eval "$(node "$root/dist/image.mjs" shell "$arch" "$slot" "$data")"
prepare_emulation "$arch"
package=$(build_package agent "$arch" "$cache")
version=${version:-$(dpkg-deb -f "$package" Version)}
make_tree
make_slot
mkdir -p "$root/dist/image"
case $kind in
  disk) out=${out:-$root/dist/image/enf-gateway_${version}_$arch.img}; make_disk ;;
  bundle) out=${out:-$root/dist/image/enf-gateway_${version}_$arch.raucb}; make_bundle ;;
esac
say "$(du -h --apparent-size "$out" | cut -f1) in $out"
echo "$out"
