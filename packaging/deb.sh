#!/usr/bin/env bash
# Builds the Debian package of enf-agent: dist/deb/enf-agent_VERSION_ARCH.deb. The same sources give the same bytes.
#   packaging/deb.sh [--arch amd64|arm64] [--out DIR] [--install-cross]
#     --arch           the target architecture; this machine's by default
#     --out            where the package goes; dist/deb by default
#     --install-cross  first installs what cross-building needs (adds a foreign architecture to this system)
#   SOURCE_DATE_EPOCH  the time in all files, seconds since 1970; that of the last commit by default
#   LARGEST_PACKAGE, LARGEST_INSTALLED   bounds in bytes, beyond which it fails
#   MAINTAINER         "Name <mail>" of the person responsible for the package
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/.." && pwd)
here=$(dpkg --print-architecture)
arch=$here out=$root/dist/deb install_cross=
# Bytes; a package that grows beyond these has to be examined.
largest_package=${LARGEST_PACKAGE:-400000}
largest_installed=${LARGEST_INSTALLED:-1200000}

die() { printf 'deb.sh: %s\n' "$1" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=${2:?--arch needs a value}; shift ;;
    --out) mkdir -p "${2:?--out needs a value}"; out=$(cd "$2" && pwd); shift ;;
    --install-cross) install_cross=1 ;;
    *) die "unknown argument $1; see the head of $0" ;;
  esac
  shift
done
case $arch in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) die "no such architecture: $arch (amd64, arm64)" ;;
esac
maintainer=${MAINTAINER:-enf maintainers <maintainers@enf.invalid>}
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || true)}"
[ -n "$SOURCE_DATE_EPOCH" ] || die "not a git checkout: set SOURCE_DATE_EPOCH to the time of this version"
export SOURCE_DATE_EPOCH

if [ "$arch" != "$here" ]; then
  if [ -n "$install_cross" ]; then
    dpkg --add-architecture "$arch"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "gcc-$triplet" "libc6-dev:$arch" "libtss2-dev:$arch" >/dev/null
  fi
  command -v "$triplet-gcc" >/dev/null || die "no compiler for $arch: install gcc-$triplet, or use --install-cross"
  [ -e "/usr/lib/$triplet/pkgconfig/tss2-esys.pc" ] || die "no libraries for $arch: install libtss2-dev:$arch, or use --install-cross"
  export CC=$triplet-gcc PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
install -d "$tree/usr/lib/enf-agent" "$out"

# The program: bundles and addon, no packages from npm, no source maps.
DIST=$work/bundle node "$root/build.mjs" bundles enf-agent
DIST=$work/tools node "$root/build.mjs" bundles packaging
EXTRA_CFLAGS="-ffile-prefix-map=$root=. -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro" \
  OUT=$work/enf.node bash "$root/native/build.sh"
"$triplet-strip" --strip-unneeded --remove-section=.comment "$work/enf.node"
install -m 644 "$work"/bundle/*.mjs "$work/enf.node" "$tree/usr/lib/enf-agent/"
sed -i '1{/^#!/d}' "$tree"/usr/lib/enf-agent/*.mjs
sed -i '1i #!/usr/bin/node' "$tree/usr/lib/enf-agent/enf-agent.mjs"
chmod 755 "$tree/usr/lib/enf-agent/enf-agent.mjs"
install -d "$tree/usr/bin"
ln -s ../lib/enf-agent/enf-agent.mjs "$tree/usr/bin/enf-agent"

# Dependencies, as dpkg-shlibdeps finds them on this Debian.
mkdir -p "$work/shlibs/debian"
printf 'Source: enf-agent\n\nPackage: enf-agent\nArchitecture: any\n' >"$work/shlibs/debian/control"
libraries=$(cd "$work/shlibs" && DEB_HOST_ARCH=$arch dpkg-shlibdeps --warnings=0 -O "$work/enf.node" 2>/dev/null | sed 's/^shlibs:Depends=//')
[ -n "$libraries" ] || die "dpkg-shlibdeps found no libraries"

# Man pages, completion, licences: generated from the program itself.
node "$work/bundle/enf-agent.mjs" help --json >"$work/description.json"
ROOT=$root OUT=$work/made DESCRIPTION=$work/description.json METAFILE=$work/bundle/enf-agent.meta.json \
  MAINTAINER=$maintainer LIBRARIES=$libraries node "$work/tools/packaging.mjs"

put() { install -D -m 644 "$1" "$tree/$2"; }
press() { install -d "$tree/$(dirname "$2")"; gzip -9n <"$1" >"$tree/$2"; }
doc=usr/share/doc/enf-agent
press "$work/made/enf-agent.1" usr/share/man/man1/enf-agent.1.gz
press "$work/made/enf-agent.toml.5" usr/share/man/man5/enf-agent.toml.5.gz
press "$work/made/changelog" $doc/changelog.gz
put "$work/made/copyright" $doc/copyright
put "$work/made/THIRD-PARTY" $doc/THIRD-PARTY
put "$work/made/sbom.spdx.json" $doc/sbom.spdx.json
put "$work/made/enf-agent.bash" usr/share/bash-completion/completions/enf-agent
own=$root/packaging
put "$own/etc/instance.toml" $doc/examples/instance.toml
put "$own/etc/agent.toml" etc/enf/agent.toml
for unit in "$own"/systemd/*; do put "$unit" "usr/lib/systemd/system/${unit##*/}"; done
put "$own/sysusers.d/enf-agent.conf" usr/lib/sysusers.d/enf-agent.conf
put "$own/tmpfiles.d/enf-agent.conf" usr/lib/tmpfiles.d/enf-agent.conf
put "$own/sysctl.d/50-enf-agent.conf" usr/lib/sysctl.d/50-enf-agent.conf
put "$own/modules-load.d/enf-agent.conf" usr/lib/modules-load.d/enf-agent.conf
put "$own/udev/61-enf-agent.rules" usr/lib/udev/rules.d/61-enf-agent.rules
put "$own/network/50-enf-agent.network" usr/lib/systemd/network/50-enf-agent.network
put "$own/network/50-enf-agent.conf" usr/lib/systemd/networkd.conf.d/50-enf-agent.conf
put "$own/NetworkManager/50-enf-agent.conf" usr/lib/NetworkManager/conf.d/50-enf-agent.conf
put "$own/debian/lintian-overrides" usr/share/lintian/overrides/enf-agent

# Control. Installed-Size as Debian counts it: each file in whole KiB, each folder one.
version=$(cat "$work/made/version")
size=$(find "$tree" \( -type f -printf '%s\n' \) -o -printf '1024\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
install -d "$tree/DEBIAN"
VERSION=$version ARCH=$arch MAINTAINER=$maintainer INSTALLED_SIZE=$size DEPENDS=$(cat "$work/made/depends") \
  perl -pe 's/@(\w+)@/$ENV{$1} \/\/ die "no $1"/ge' "$own/debian/control.in" >"$tree/DEBIAN/control"
install -m 755 "$own"/debian/{preinst,postinst,prerm,postrm} "$tree/DEBIAN/"
echo /etc/enf/agent.toml >"$tree/DEBIAN/conffiles"
(cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

package=$out/enf-agent_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
bytes=$(stat -c %s "$package") installed=$((size * 1024))
printf '%s: %d bytes, installed %d bytes\n' "$package" "$bytes" "$installed"
[ "$bytes" -le $largest_package ] || die "the package has grown beyond $largest_package bytes"
[ "$installed" -le $largest_installed ] || die "what it installs has grown beyond $largest_installed bytes"
