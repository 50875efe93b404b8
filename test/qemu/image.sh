#!/usr/bin/env bash
# Makes the guest of the QEMU tests: Debian 13 with our package as it is, and the kernel of Debian's archive.
#   image.sh [amd64|arm64]    prints the folder that has root.ext4 and vmlinuz
# What comes from the archive is kept in .cache/qemu and needs a network only the first time; the image is made again
# whenever the package or anything here changes. Needs root, mmdebstrap, kmod and e2fsprogs.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/.cache/qemu
arch=${1:-amd64}
host=10.77.0.1 # where test/e2e/network.ts has the fabric
mkdir -p "$cache"

. "$root/packaging/image/base.sh"
. "$here/disk.sh"
prepare_emulation "$arch"

# From Debian: a root file system, and the kernel's package beside it, unpacked without its initramfs tools.
base=$(debian_base "$cache" "$arch" "systemd,systemd-sysv,dbus,udev,kmod,iproute2,nftables,iputils-ping,procps,$package_needs" \
  "$kernel_download" \
  --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*')
package=$(build_package agent "$arch" "$cache")
key=$({ cat "$0" "$root/packaging/image/base.sh" "$here/disk.sh" "$here"/guest/*; basename "$base"; cat "$package"; } | sha256sum | cut -c1-12)
image=$cache/image-$arch-$key
[ ! -e "$image/root.ext4" ] || { echo "$image"; exit 0; }

unpack_guest "$base"

# Only the modules it uses: root disk, TPM and serial port are built into this kernel.
version=$(basename "$work"/kernel/usr/lib/modules/*)
ln -s usr/lib "$work/kernel/lib"
depmod -b "$work/kernel" "$version"
for module in virtio_net virtio_rng virtio_blk tpm_tis tun nf_tables nft_socket; do
  modprobe -d "$work/kernel" -S "$version" --show-depends $module | awk -v top="$work/kernel/" '$1 == "insmod" { print substr($2, length(top) + 1) }'
done | sort -u | sed 's,^lib/,usr/lib/,' | tar -C "$work/kernel" -c -T - | tar -C "$tree" -x
cp "$work"/kernel/usr/lib/modules/"$version"/modules.{builtin,builtin.modinfo,order} "$tree/usr/lib/modules/$version/"
depmod -b "$tree" "$version"

# Our package, with the one key it needs.
install_package "$tree" "$package" "$work/dpkg.log"
sed -i "s/^# hosts = .*/hosts = [\"$host\"]/" "$tree/etc/enf/agent.toml"

# The test's hands, the network, and less of what a guest without users does at boot.
install -D -m 755 "$here/guest/executor.sh" "$tree/usr/local/lib/executor.sh"
install -m 644 "$here/guest/executor.service" "$tree/etc/systemd/system/"
install -m 644 "$here/guest/99-executor.rules" "$tree/etc/udev/rules.d/"
install -m 644 "$here/guest/uplink.network" "$tree/etc/systemd/network/"
install -m 644 "$here/guest/fstab" "$tree/etc/fstab"
mkdir -p "$tree/var/lib/enf-agent" # a mount point on a root that may be read-only
echo gateway >"$tree/etc/hostname"
echo 'nameserver 10.0.2.3' >"$tree/etc/resolv.conf"
: >"$tree/etc/machine-id"
mkdir -p "$tree/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' >"$tree/etc/systemd/journald.conf.d/volatile.conf"
systemctl --root="$tree" --quiet enable systemd-networkd.service
systemctl --root="$tree" --quiet disable systemd-networkd-wait-online.service
systemctl --root="$tree" --quiet mask getty@tty1.service serial-getty@ttyS0.service serial-getty@ttyAMA0.service \
  systemd-logind.service systemd-update-utmp.service systemd-random-seed.service ldconfig.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  modprobe@loop.service modprobe@fuse.service modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service

# Nothing has been updated since: no catalogues to be made anew at each boot.
touch -d '+1 minute' "$tree/etc/.updated" "$tree/var/.updated"

pack_guest "$image" "$cache/image-$arch-" 160
