# What the guests of these tests have in common, the kernel of Debian's archive and a disk; sourced, after base.sh, by what makes them, which has `cache`
# and `arch`.

# For debian_base: downloads the kernel's package, which is unpacked without its initramfs tools.
kernel_download='apt-get -qq -o APT::Sandbox::User=root download "$(apt-cache depends linux-image-cloud-'"$arch"' | awk "/Depends:/ { print \$2; exit }")"'

# unpack_guest BASE: makes $work, which goes when the caller ends, with the guest's root in $tree, what the kernel's package has in $work/kernel, and vmlinuz.
unpack_guest() {
  echo "the guest's disk" >&2
  work=$(mktemp -d "$cache/work-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  tree=$work/tree
  mkdir "$tree" "$work/kernel"
  tar -C "$tree" -xf "$1"
  dpkg-deb -x "$tree"/boot/linux-image-*.deb "$work/kernel"
  rm "$tree"/boot/*.deb
  cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
}

# pack_guest IMAGE OTHERS MEGABYTES: makes the folder IMAGE of $tree, with so much room to spare, and of the kernel, and prints it; of the OTHERS only those
# stay that run.sh still boots from.
pack_guest() {
  local old
  truncate -s "$(($(du -sm "$tree" | cut -f1) + $3))M" "$work/root.ext4"
  mke2fs -q -t ext4 -L root -m 0 -O ^has_journal -E lazy_itable_init=0,nodiscard -d "$tree" "$work/root.ext4"
  for old in "$2"*; do
    [ ! -e "$old" ] || flock --nonblock "$old" rm -rf "$old" || true
  done
  mkdir "$1"
  mv "$work/vmlinuz" "$work/root.ext4" "$1/"
  echo "$1"
}
