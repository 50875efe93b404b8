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
. "$here/disk.sh"
prepare_emulation "$arch"
base=$(debian_base "$cache" "$arch" "mount,iproute2,nftables,iputils-ping,procps,kmod,openssl,bird2,wireguard-tools,charon-systemd,strongswan-swanctl,libstrongswan-standard-plugins" \
  "$kernel_download")
key=$({ cat "$0" "$root/packaging/image/base.sh" "$here/disk.sh"; basename "$base"; } | sha256sum | cut -c1-12)
image=$cache/underlay-$arch-$key
[ ! -e "$image/root.ext4" ] || { echo "$image"; exit 0; }

unpack_guest "$base"
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

pack_guest "$image" "$cache/underlay-$arch-" 64
