# A root file system of Debian with a package of ours: what the images of gateways and boards and the guest of the QEMU tests have in common; sourced.
suite=trixie

# What our packages for devices and factories depend on, for mmdebstrap, which installs before ours is there.
package_needs=nodejs,libtss2-tcti-device0t64,libtss2-esys-3.0.2-0t64,libtss2-mu-4.0.1-0t64,libtss2-rc0t64,libtss2-tctildr0t64

# require_tools INSTALL: the programs of the caller's `tools`, each with its package; installs what is missing if INSTALL says anything, else ends by the
# caller's `die`.
require_tools() {
  local tool missing=()
  for tool in "${!tools[@]}"; do command -v "$tool" >/dev/null || missing+=("${tools[$tool]}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ -n "$1" ] || die "not installed: ${missing[*]}; --install-tools installs them"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The time of this version, which is that of every file in an image.
require_epoch() {
  : "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || true)}"
  [ -n "$SOURCE_DATE_EPOCH" ] || die "not a git checkout: set SOURCE_DATE_EPOCH to the time of this version"
  export SOURCE_DATE_EPOCH
}

# prepare_emulation ARCH: the packages of another architecture run their scripts in user emulation.
prepare_emulation() {
  [ "$1" != "$(dpkg --print-architecture)" ] && ! [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || return 0
  mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
  /usr/lib/systemd/systemd-binfmt qemu-aarch64.conf || { echo "$(basename "$0"): install qemu-user-static and arch-test" >&2; return 1; }
}

# debian_base CACHE ARCH PACKAGES HOOK [OPTION]...: prints the path of a tar of Debian with these packages, from CACHE if it was made before. HOOK runs in its
# /boot with apt-get and the rest of it in reach; options go to mmdebstrap.
debian_base() {
  local cache=$1 arch=$2 packages=$3 hook=$4
  shift 4
  local base=$cache/debian-$(printf '%s' "$suite $arch $packages $hook $*" | sha256sum | cut -c1-12).tar
  if [ ! -e "$base" ]; then
    echo "Debian $suite for $arch from the archive" >&2
    # An initramfs is made once all is in place, if there is one: in user emulation it takes minutes.
    INITRD=No mmdebstrap --quiet --mode=root --format=tar --architectures="$arch" --variant=essential --include="$packages" \
      --aptopt='Acquire::Languages "none"' --aptopt='Apt::Install-Recommends "false"' \
      --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/locale/*' "$@" \
      --customize-hook='cd "$1/boot" && export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG && '"$hook" \
      "$suite" "$base.new" "deb http://deb.debian.org/debian $suite main" >&2
    mv "$base.new" "$base"
  fi
  echo "$base"
}

# build_package PROGRAM ARCH CACHE: builds the package of agent or factory into CACHE and prints its path.
build_package() {
  bash "$root/packaging/deb.sh" "$1" --arch "$2" --out "$3" >&2
  ls -t "$3"/enf-"$1"_*_"$2".deb | head -1
}

# install_package TREE PACKAGE LOG: as apt would.
install_package() {
  cp "$2" "$1/package.deb"
  chroot "$1" dpkg -i /package.deb >"$3" 2>&1 || { cat "$3" >&2; return 1; }
  rm "$1/package.deb"
}
