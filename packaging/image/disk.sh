# The slot, the disk and the update that $work/tree becomes; sourced by image.sh.

# The same bytes for the same tree. GRUB reads the kernel from it, and knows no newer compression than these; the kernel and its initramfs are packed already.
make_slot() {
  say "the slot"
  slot_image=$work/rootfs.img
  env -u SOURCE_DATE_EPOCH mksquashfs "$tree" "$slot_image" -mkfs-time "$SOURCE_DATE_EPOCH" -all-time "$SOURCE_DATE_EPOCH" -noappend -no-progress -quiet -comp gzip -Xcompression-level 6 -b 128K \
    -action 'uncompressed@name(vmlinuz)||name(initrd.img)' >&2
  local size
  size=$(stat -c %s "$slot_image")
  [ "$size" -le $((slot * 1048576)) ] || die "the system takes $((size / 1048576 + 1)) MiB: more than --slot-size $slot"
}

# What is in it is packed already (-noD -noF).
make_bundle() {
  local folder=$work/bundle
  mkdir "$folder"
  mv "$slot_image" "$folder/rootfs.img"
  printf '[update]\ncompatible=enf-gateway-%s\nversion=%s\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n' "$arch" "$version" >"$folder/manifest.raucm"
  rm -f "$out"
  rauc bundle --mksquashfs-args="-noD -noF" --cert="$cert" --key="$key" ${keyring:+--keyring="$keyring"} "$folder" "$out" >&2
}

make_disk() {
  say "the disk"
  node "$root/dist/image.mjs" sfdisk "$arch" "$slot" "$data" >"$work/layout"
  rm -f "$out"
  truncate -s "${size}M" "$out"
  sfdisk --quiet "$out" <"$work/layout"
  make_boot
  make_config
  part "$work/boot.fat" "$boot_start"
  part "$work/config.fat" "$config_start"
  part "$slot_image" "$root_a_start"
  # Empty: the device makes its folders, and lets it grow.
  truncate -s "${data}M" "$work/data.ext4"
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -m 0 -L enf-data -U "$data_guid" \
    -E "hash_seed=$data_guid,lazy_itable_init=0,lazy_journal_init=0" "$work/data.ext4"
  part "$work/data.ext4" "$data_start"
}

part() { dd if="$1" of="$out" bs=1M seek="$2" conv=notrunc,sparse status=none; }

# fat FILE MIB NAME SERIAL
fat() {
  truncate -s "$2M" "$1"
  mkfs.fat --invariant -F 16 -s 8 -n "$3" -i "$4" "$1" >/dev/null
}
# copy FAT FILE PATH
copy() {
  touch -d "@$SOURCE_DATE_EPOCH" "$2"
  mcopy -m -i "$1" "$2" "::$3"
}

# Clusters of 4 KiB (-s 8): the environment block lies in one, and a disk writes that at once.
make_boot() {
  local fat=$work/boot.fat folder=$work/boot
  mkdir "$folder"
  fat "$fat" "$boot_size" ENF-BOOT e4f00001
  cp "$here/boot/grub.cfg" "$folder/grub.cfg"
  place_guids "$folder/grub.cfg"
  printf '# GRUB Environment Block\nORDER=A B\nA_OK=1\nB_OK=0\nA_LEFT=3\nB_LEFT=0\nTRIAL=\nTRIALS=0\n' >"$folder/grubenv"
  head -c $((1024 - $(stat -c %s "$folder/grubenv"))) /dev/zero | tr '\0' '#' >>"$folder/grubenv"
  mmd -i "$fat" ::/EFI ::/EFI/BOOT ::/EFI/debian
  copy "$fat" "$folder/grubenv" /EFI/debian/grubenv
  copy "$fat" "$folder/grubenv" /EFI/debian/grubenv.2
  copy "$fat" "$folder/grub.cfg" /EFI/debian/grub.cfg
  cp "$tree/usr/lib/enf-gateway/efi/"*.efi "$folder/"
  copy "$fat" "$folder/shim.efi" "/EFI/BOOT/BOOT${efi^^}.EFI"
  copy "$fat" "$folder/grub.efi" "/EFI/BOOT/grub$efi.efi"
}

make_config() {
  local fat=$work/config.fat folder=$work/config
  fat "$fat" "$config_size" ENF-CONFIG e4f00002
  cp -rL "$here/config" "$folder"
  [ -z "$config" ] || cp -rL "$config/." "$folder/"
  find "$folder" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
  mcopy -s -m -i "$fat" "$folder"/* ::
}
