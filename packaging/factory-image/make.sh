#!/usr/bin/env bash
# Makes the system with which boards boot in a factory. See docs/factory.md.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
  cat <<'TEXT'
Makes a minimal Debian that makes the board on which it boots a device at a station (enf-factory station serve), and says PASS or FAIL on its console.
It lives in memory: nothing is written to the board but its TPM.

Usage: npm run factory-image -- [options]

Options:
  --arch ARCH       amd64 or arm64 (default: this machine's; arm64 needs qemu-user-static and arch-test)
  --config DIR      files for the stick: station.conf, station.pem, token, hierarchy-auth
  --include LIST    further packages of Debian, with commas between them
  --overlay DIR     files to lay over the root file system
  --out DIR         default: dist/factory-image/ARCH
  --install-tools   first installs what this needs on Debian

What it makes in DIR: vmlinuz and initrd.img, to boot from the network, and stick.img, to write to a USB stick (UEFI).

Examples:
  npm run factory-image
  npm run factory-image -- --config line-2
  dd if=dist/factory-image/amd64/stick.img of=/dev/sdX bs=4M conv=fsync

SOURCE_DATE_EPOCH is the time in all files (default: that of the last commit). Needs root. Exit codes: 0 done, 1 failed, 2 wrong usage.
TEXT
}
wrong() { printf 'factory-image: %s\n  → %s\n' "$1" "npm run factory-image -- --help" >&2; exit 2; }
die() { printf 'factory-image: %s\n' "$1" >&2; exit 1; }
say() { printf 'factory-image: %s\n' "$1" >&2; }

arch=$(dpkg --print-architecture) config= include= overlay= out= install=
while [ $# -gt 0 ]; do
  case $1 in
    --install-tools) install=yes; shift; continue ;;
    --help) usage; exit 0 ;;
    --arch | --config | --include | --overlay | --out) [ $# -ge 2 ] || wrong "$1 needs a value" ;;
    *) wrong "unknown argument: $1" ;;
  esac
  case $1 in
    --arch) arch=$2 ;;
    --config) config=$2 ;;
    --include) include=$2 ;;
    --overlay) overlay=$2 ;;
    --out) out=$2 ;;
  esac
  shift 2
done
case $arch in
  amd64) efi=x64 grub=x86_64 consoles='console=tty0 console=ttyS0,115200' ;;
  arm64) efi=aa64 grub=arm64 consoles='console=tty0 console=ttyAMA0,115200' ;;
  *) wrong "--arch takes amd64 or arm64" ;;
esac
for folder in "$config" "$overlay"; do [ -z "$folder" ] || [ -d "$folder" ] || die "no such folder: $folder"; done
[ "$(id -u)" = 0 ] || die "this needs root: packages run their scripts"

declare -A tools=([mmdebstrap]=mmdebstrap [cpio]=cpio [zstd]=zstd [sfdisk]=fdisk [mkfs.fat]=dosfstools [mcopy]=mtools [depmod]=kmod)
. "$root/packaging/image/base.sh"
require_tools "$install"
require_epoch

cache=$root/.cache/image
out=${out:-$root/dist/factory-image/$arch}
mkdir -p "$cache" "$out"
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
prepare_emulation "$arch"

# Modules for what no board needs here: pictures, sound, television, clusters, wireless networks, file systems of others.
unneeded=(sound drivers/gpu/drm/{amd,i915,nouveau,radeon,xe} drivers/media drivers/infiniband drivers/net/wireless drivers/staging drivers/iio fs/{btrfs,xfs,ocfs2,gfs2,ceph,f2fs,jfs,reiserfs})
excluded=()
for folder in "${unneeded[@]}"; do excluded+=(--dpkgopt="path-exclude=/usr/lib/modules/*/kernel/$folder/*"); done

# The kernel comes beside it, unpacked: an initramfs of its own it needs none.
tree=$work/tree
packages=systemd,systemd-sysv,systemd-resolved,dbus,udev,kmod,iproute2,$package_needs${include:+,$include}
base=$(debian_base "$cache" "$arch" "$packages" \
  'apt-get -qq -o APT::Sandbox::User=root download "$(apt-cache depends linux-image-'"$arch"' | awk "/Depends:/ { print \$2; exit }")" grub-efi-'"$arch"'-signed shim-signed')
package=$(build_package factory "$arch" "$cache")

say "the root file system"
mkdir "$tree" "$work/beside"
tar -C "$tree" -xf "$base"
for file in "$tree"/boot/*.deb; do dpkg-deb -x "$file" "$work/beside"; rm "$file"; done
version=$(basename "$work"/beside/usr/lib/modules/*)
for folder in "${unneeded[@]}"; do rm -rf "$work/beside/usr/lib/modules/$version/kernel/$folder"; done
mkdir -p "$tree/usr/lib/modules"
cp -r "$work/beside/usr/lib/modules/$version" "$tree/usr/lib/modules/"
depmod -b "$tree" "$version"
install_package "$tree" "$package" "$work/dpkg.log"
cp -r "$here/root/." "$tree/"
[ -z "$overlay" ] || cp -r --preserve=mode,links "$overlay/." "$tree/"

# Nobody logs in, nothing is kept.
: >"$tree/etc/machine-id"
: >"$tree/etc/fstab"
echo board >"$tree/etc/hostname"
rm -f "$tree/etc/resolv.conf" "$tree/var/lib/dbus/machine-id"
ln -s /run/systemd/resolve/resolv.conf "$tree/etc/resolv.conf"
systemctl --root="$tree" --quiet enable systemd-networkd.service systemd-resolved.service enf-board.service
systemctl --root="$tree" --quiet disable systemd-networkd-wait-online.service
systemctl --root="$tree" --quiet mask getty@.service serial-getty@.service autovt@.service systemd-remount-fs.service ldconfig.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-update-utmp.service
rm -rf "$tree"/boot/* "$tree"/var/cache/* "$tree"/var/log/* "$tree"/var/lib/apt/lists/* "$tree"/var/lib/dpkg/info/*.md5sums "$tree"/usr/lib/udev/hwdb.d/* "$tree"/tmp/* "$tree"/run/*
touch -d "@$((SOURCE_DATE_EPOCH + 60))" "$tree/etc/.updated" "$tree/var/.updated"
# The kernel starts this.
ln -sf usr/lib/systemd/systemd "$tree/init"

say "its initramfs"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$tree" && find . -print0 | sort -z | cpio --quiet --null --create --format=newc --reproducible) | zstd -q -T0 -10 -o "$work/initrd.img"
cp "$work"/beside/boot/vmlinuz-* "$work/vmlinuz"

say "the stick"
stick=$work/stick
mkdir -p "$stick/EFI/BOOT" "$stick/EFI/debian"
cp "$work/beside/usr/lib/shim/shim$efi.efi.signed" "$stick/EFI/BOOT/BOOT${efi^^}.EFI"
cp "$work/beside/usr/lib/grub/$grub-efi-signed/grub$efi.efi.signed" "$stick/EFI/BOOT/grub$efi.efi"
sed "s/@CONSOLES@/$consoles/" "$here/grub.cfg" >"$stick/EFI/debian/grub.cfg"
cp "$work/vmlinuz" "$work/initrd.img" "$stick/"
cp "$here"/stick/* "$stick/"
[ -z "$config" ] || cp -rL "$config/." "$stick/"
find "$stick" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
# One partition, which every computer shows as a drive.
size=$(($(du -sm "$stick" | cut -f1) + 48))
truncate -s "${size}M" "$work/stick.fat"
mkfs.fat --invariant -F 32 -n ENF-FACTORY -i e4f00003 "$work/stick.fat" >/dev/null
mcopy -s -m -i "$work/stick.fat" "$stick"/* ::
truncate -s "$((size + 2))M" "$work/stick.img"
printf 'label: gpt\nlabel-id: E4F00003-0000-8000-8000-000000000000\nstart=1MiB, size=%dMiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=E4F00003-0000-8000-8000-000000000001, name="enf-factory"\n' "$size" |
  sfdisk --quiet "$work/stick.img"
dd if="$work/stick.fat" of="$work/stick.img" bs=1M seek=1 conv=notrunc,sparse status=none
mv "$work/vmlinuz" "$work/initrd.img" "$work/stick.img" "$out/"
say "$(du -h --apparent-size "$out/initrd.img" | cut -f1) of initramfs in $out"
echo "$out"
