#!/usr/bin/env bash
# Makes the guest that tests what nodes have between them: Debian 13 with BIRD, WireGuard and strongSwan, and the kernel of Debian's archive.
#   underlay.sh [amd64|arm64]    prints the folder that has root.ext4 and vmlinuz
# What comes from the archive is kept in .cache/qemu. The guest unpacks the archive that it is given as its second disk, and runs main.sh out of it: its
# console has what that prints. Needs root, mmdebstrap, kmod and e2fsprogs.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/.cache/qemu
arch=${1:-amd64}
mkdir -p "$cache"

. "$root/packaging/image/base.sh"
prepare_emulation "$arch"
base=$(debian_base "$cache" "$arch" "mount,iproute2,nftables,iputils-ping,procps,kmod,openssl,bird2,wireguard-tools,charon-systemd,strongswan-swanctl,libstrongswan-standard-plugins" \
  'apt-get -qq -o APT::Sandbox::User=root download "$(apt-cache depends linux-image-cloud-'"$arch"' | awk "/Depends:/ { print \$2; exit }")"')
key=$({ cat "$0" "$root/packaging/image/base.sh"; basename "$base"; } | sha256sum | cut -c1-12)
image=$cache/underlay-$arch-$key
[ ! -e "$image/root.ext4" ] || { echo "$image"; exit 0; }

echo "the guest's disk" >&2
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
tar -C "$tree" -xf "$base"
dpkg-deb -x "$tree"/boot/linux-image-*.deb "$work/kernel"
rm "$tree"/boot/*.deb
cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
cp -r "$work"/kernel/usr/lib/modules "$tree/usr/lib/"
rm -rf "$tree"/usr/lib/modules/*/kernel/{sound,drivers/{gpu,media,infiniband,scsi,usb,hid}}
depmod -b "$tree" "$(basename "$work"/kernel/usr/lib/modules/*)"

install -m 755 /dev/stdin "$tree/main" <<'INIT'
#!/bin/bash
export PATH=/usr/sbin:/usr/bin LC_ALL=C
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
ln -s /proc/self/fd /dev/fd
modprobe -a virtio_pci virtio_blk
mount -t tmpfs none /run
mount -t tmpfs none /tmp
tar -x -C /tmp -f /dev/vda
cd /tmp && bash main.sh 2>&1
echo "ended: $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
INIT

truncate -s "$(($(du -sm "$tree" | cut -f1) + 64))M" "$work/root.ext4"
mke2fs -q -t ext4 -L root -m 0 -O ^has_journal -E lazy_itable_init=0,nodiscard -d "$tree" "$work/root.ext4"
# Older ones go, but for those that run.sh still boots from.
for old in "$cache"/underlay-"$arch"-*; do
  [ ! -e "$old" ] || flock --nonblock "$old" rm -rf "$old" || true
done
mkdir "$image"
mv "$work/vmlinuz" "$work/root.ext4" "$image/"
echo "$image"
