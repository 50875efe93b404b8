#!/usr/bin/env bash
# Makes what image.qemu.ts boots, with packaging/image/image.sh: a disk with version 1, and a file system with updates.
#   gateway.sh [amd64|arm64]    prints the folder that has disk.img and updates.squashfs
#   good.raucb     version 2           broken.raucb   version 3, whose agent does not start
#   stranger.raucb signed by another   other.raucb    for another machine
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
arch=${1:-amd64}
cache=$root/.cache/qemu
key=$({ cat "$here/gateway.sh" "$here"/guest/executor* "$here"/guest/*.rules; find "$root"/{packaging,agent,native,protocol,tpm,tunnel,os,cli,crypto} -type f -print0 | sort -z | xargs -0 cat; } | sha256sum | cut -c1-12)
place=$cache/gateway-$arch-$key
[ ! -e "$place/updates.squashfs" ] || { echo "$place"; exit 0; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/made" "$work/updates"

image() { bash "$root/packaging/image/image.sh" --arch "$arch" --slot-size 320 --data-size 96 "$@" >/dev/null; }
make_key() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null; }
make_key release
make_key stranger
signed=(--key "$work/release.key" --cert "$work/release.pem")

# The test's hands.
overlay=$work/overlay
install -D -m 755 "$here/guest/executor.sh" "$overlay/usr/local/lib/executor.sh"
install -D -m 644 "$here/guest/executor.service" "$overlay/etc/systemd/system/executor.service"
install -D -m 644 "$here/guest/99-executor.rules" "$overlay/etc/udev/rules.d/99-executor.rules"

mkdir "$work/config"
printf '[remote]\nhosts = ["10.77.0.1"]\n' >"$work/config/agent.toml"
printf 'operator:Uhura-1966\n' >"$work/config/proxy-login"
image "${signed[@]}" --overlay "$overlay" --version 1 --config "$work/config" --out "$work/made/disk.img"
# The kernel asks whether its timer works; on a busy machine an emulated one answers too late, and the kernel gives up.
mcopy -n -i "$work/made/disk.img@@1M" ::/EFI/debian/grub.cfg "$work/grub.cfg"
sed -i 's/panic=10 quiet/& no_timer_check/' "$work/grub.cfg"
grep -q no_timer_check "$work/grub.cfg"
mcopy -o -i "$work/made/disk.img@@1M" "$work/grub.cfg" ::/EFI/debian/grub.cfg
image "${signed[@]}" --overlay "$overlay" --version 2 --bundle --out "$work/updates/good.raucb"
ln -s /dev/null "$overlay/etc/systemd/system/enf-agent.service"
image "${signed[@]}" --overlay "$overlay" --version 3 --bundle --out "$work/updates/broken.raucb"

small() {
  mkdir -p "$work/small"
  head -c 65536 /dev/urandom >"$work/small/rootfs.img"
  printf '[update]\ncompatible=%s\nversion=4\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n' "$1" >"$work/small/manifest.raucm"
  rauc bundle --cert="$work/$2.pem" --key="$work/$2.key" "$work/small" "$work/updates/$3.raucb" >&2
}
small "enf-gateway-$arch" stranger stranger
small enf-gateway-other release other

mksquashfs "$work/updates" "$work/made/updates.squashfs" -noappend -no-progress -quiet -noD >&2
rm -rf "$cache"/gateway-"$arch"-*
mv "$work/made" "$place"
echo "$place"
