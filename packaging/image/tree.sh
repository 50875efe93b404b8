# The root file system of a gateway, in $work/tree; sourced by image.sh.

# Modules for what no gateway has: pictures, sound, television, clusters.
unneeded=(sound drivers/gpu/drm/{amd,i915,nouveau,radeon,xe} drivers/media drivers/infiniband)

make_tree() {
  tree=$work/tree
  local packages=systemd,systemd-sysv,systemd-repart,systemd-resolved,systemd-timesyncd,dbus,udev,kmod,iproute2,nftables,iputils-ping,procps
  packages+=,$package_needs,linux-image-$arch,initramfs-tools,zstd,e2fsprogs,dosfstools,rauc,rauc-service${include:+,$include}
  local excluded=()
  for folder in "${unneeded[@]}"; do excluded+=(--dpkgopt="path-exclude=/usr/lib/modules/*/kernel/$folder/*"); done
  base=$(debian_base "$cache" "$arch" "$packages" \
    "apt-get -qq -o APT::Sandbox::User=root download grub-efi-$arch-signed shim-signed" "${excluded[@]}")
  # All but the version and the site's files is the same for many images: kept, the last one for each architecture.
  local kept=$cache/tree-$arch-$({ basename "$base"; cat "$package" "$here"/tree.sh; shell_digest; } | sha256sum | cut -c1-12).tar
  if [ -e "$kept" ]; then
    mkdir "$tree"
    tar -C "$tree" -xf "$kept"
  else
    say "the root file system"
    assemble
    rm -f "$cache"/tree-"$arch"-*.tar
    tar -C "$tree" -cf "$kept.new" .
    mv "$kept.new" "$kept"
  fi
  personal
}

shell_digest() { (cd "$here" && find root config -type f -print0 | sort -z | xargs -0 sha256sum); }

assemble() {
  mkdir "$tree" "$work/efi"
  tar -C "$tree" -xf "$base"
  for file in "$tree"/boot/*.deb; do dpkg-deb -x "$file" "$work/efi"; rm "$file"; done
  # Fixed numbers: the data partition outlives the system that made its files.
  install -d "$tree/etc/sysusers.d"
  printf 'g enf 900\ng tss -\nu enf 900:enf "Edge Network Fabric agent" /var/lib/enf-agent /usr/sbin/nologin\nm enf tss\n' >"$tree/etc/sysusers.d/enf-agent.conf"
  install_package "$tree" "$package" "$work/dpkg.log"
  install -D -m 644 "$tree/etc/enf/agent.toml" "$tree/usr/lib/enf-gateway/agent.toml"
  install -D -m 644 "$work"/efi/usr/lib/shim/shim$efi.efi.signed "$tree/usr/lib/enf-gateway/efi/shim.efi"
  install -D -m 644 "$work"/efi/usr/lib/grub/$grub-efi-signed/grub$efi.efi.signed "$tree/usr/lib/enf-gateway/efi/grub.efi"
  cp -r "$here/root/." "$tree/"
  find "$tree/usr/lib/enf-gateway" "$tree/etc/initramfs-tools" -type f -exec chmod go-w {} +
  place_guids "$tree/etc/fstab" "$tree/etc/rauc/system.conf"

  # Mount points, and what is made on the device.
  install -d "$tree/data" "$tree/boot/efi" "$tree/var/lib/enf-agent" "$tree/var/log/journal" "$tree/var/lib/systemd"
  : >"$tree/etc/machine-id"
  rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/resolv.conf" "$tree/var/lib/dbus/machine-id" "$tree/etc/hostname"
  ln -s /run/systemd/resolve/resolv.conf "$tree/etc/resolv.conf"
  systemctl --root="$tree" --quiet enable systemd-networkd.service systemd-resolved.service enf-gateway-config.service etc-enf.mount \
    enf-gateway-trial.service enf-gateway-ssh.service
  systemctl --root="$tree" --quiet disable systemd-networkd-wait-online.service
  # A read-only root needs none of these.
  systemctl --root="$tree" --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    systemd-machine-id-commit.service systemd-remount-fs.service ldconfig.service

  say "its initramfs"
  rm -f "$tree"/boot/initrd.img* "$tree"/boot/vmlinuz
  chroot "$tree" sh -c 'SOURCE_DATE_EPOCH='"$SOURCE_DATE_EPOCH"' update-initramfs -c -k "$(ls /usr/lib/modules)"' >"$work/initramfs.log" 2>&1 || { cat "$work/initramfs.log" >&2; return 1; }
  mv "$tree"/boot/initrd.img-* "$tree/boot/initrd.img"
  mv "$tree"/boot/vmlinuz-* "$tree/boot/vmlinuz"
  rm -rf "$tree"/boot/System.map-* "$tree"/boot/config-* "$tree"/var/cache/* "$tree"/var/log/* "$tree"/var/lib/apt/lists/* "$tree"/tmp/* "$tree"/run/*
  install -d "$tree/var/log/journal"
}

# What differs from one image to the next.
personal() {
  sed -i "s/@ARCH@/$arch/" "$tree/etc/rauc/system.conf"
  install -m 644 "${keyring:-$cert}" "$tree/etc/rauc/keyring.pem"
  printf 'IMAGE_ID=enf-gateway\nIMAGE_VERSION=%s\n' "$version" >>"$tree/usr/lib/os-release"
  [ -z "$overlay" ] || cp -r --preserve=mode,links "$overlay/." "$tree/"
}

# place_guids FILE...: the partitions of layout.ts.
place_guids() {
  sed -i -e "s/@BOOT_GUID@/${boot_guid,,}/; s/@ROOT_A_GUID@/${root_a_guid,,}/; s/@ROOT_B_GUID@/${root_b_guid,,}/; s/@DATA_GUID@/${data_guid,,}/" \
    -e "s/@CONSOLES@/$consoles/" "$@"
}
