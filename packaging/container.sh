#!/usr/bin/env bash
# Builds an OCI image of the fabric from its Debian package, without a daemon: dist/container/enf-fabric_VERSION_ARCH.tar
#   packaging/container.sh [--deb FILE] [--out DIR] [--suite trixie]
#     --deb     the package; built by packaging/deb.sh by default, for the Node.js of the suite
#     --out     where the image goes; dist/container by default
#     --suite   the Debian that it is made of; trixie (13) by default, whose Node.js is 20
#   SOURCE_DATE_EPOCH  the time in all files, seconds since 1970; that of the last commit by default
#   MIRROR             whence the packages of Debian come
# "podman load -i FILE" has it as localhost/enf-fabric:VERSION. docs/fabric.md says how it is run. Needs root, mmdebstrap and umoci.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/dist/container suite=trixie deb=
die() { printf 'container.sh: %s\n' "$1" >&2; exit 1; }
say() { printf '%s …\n' "$1" >&2; }
while [ $# -gt 0 ]; do
  case $1 in
    --deb) deb=${2:?--deb needs a value} ;;
    --out) out=${2:?--out needs a value} ;;
    --suite) suite=${2:?--suite needs a value} ;;
    *) die "unknown argument $1; see the head of $0" ;;
  esac
  shift 2
done
[ "$(id -u)" = 0 ] || die "needs root"
for tool in mmdebstrap umoci; do command -v $tool >/dev/null || die "$tool is not there: apt-get install mmdebstrap umoci"; done
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || true)}"
[ -n "$SOURCE_DATE_EPOCH" ] || die "not a git checkout: set SOURCE_DATE_EPOCH to the time of this version"
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$deb" ]; then
  NODE_MAJORS=20 bash "$root/packaging/deb.sh" fabric --out "$work/deb" >&2
  deb=$(ls "$work"/deb/enf-fabric_*.deb)
fi
deb=$(realpath "$deb")
export DEB=$deb
version=$(dpkg-deb -f "$deb" Version) arch=$(dpkg-deb -f "$deb" Architecture)

# A Debian with the package and what it needs, and nothing else. The fabric runs as root without root's rights: of the capabilities it has
# the two that it needs, so the data folder is root's. Its group is the service's, by which the console reaches the control socket.
say "installing Debian $suite and the package"
mmdebstrap --quiet --mode=root --variant=minbase --architectures="$arch" --include=ca-certificates,nftables,iproute2 \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-include=/usr/share/doc/enf-fabric/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/bash-completion/*' \
  --customize-hook='mkdir -p "$1/packages"' \
  --customize-hook='cp "$DEB" "$1/packages/"' \
  --customize-hook='DEBIAN_FRONTEND=noninteractive chroot "$1" sh -c "apt-get install -y -qq --no-install-recommends /packages/*.deb >/dev/null"' \
  --customize-hook='rm -rf "$1/packages" "$1"/var/log/*.log "$1"/var/log/apt "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old' \
  --customize-hook='chroot "$1" install -d -o root -g enf-fabric -m 750 /var/lib/enf-fabric' \
  "$suite" "$work/root.tar" ${MIRROR:+"$MIRROR"} || die "mmdebstrap failed"

say "making the image"
stamp=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
image=$work/oci
umoci init --layout "$image"
umoci new --image "$image:$version"
umoci raw add-layer --image "$image:$version" --history.created "$stamp" --history.created_by "enf-fabric $version on Debian $suite" "$work/root.tar"
umoci config --image "$image:$version" --no-history --created "$stamp" --architecture "$arch" \
  --config.user root:enf-fabric --config.workingdir / --config.volume /var/lib/enf-fabric \
  --config.entrypoint /usr/bin/enf-fabric --config.cmd serve --config.stopsignal SIGTERM \
  --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --config.exposedports 443/tcp --config.exposedports 444/tcp --config.exposedports 8480/tcp \
  --config.label "org.opencontainers.image.title=enf-fabric" --config.label "org.opencontainers.image.version=$version"
umoci gc --layout "$image"
# The whole name, so that whoever loads it finds it by that, and asks no registry of the internet for one of the same name.
node -e '
  const { readFileSync, writeFileSync } = require("node:fs");
  const [file, name] = process.argv.slice(1);
  const index = JSON.parse(readFileSync(file, "utf8"));
  index.manifests[0].annotations = { "org.opencontainers.image.ref.name": name };
  writeFileSync(file, JSON.stringify(index));
' "$image/index.json" "localhost/enf-fabric:$version"

mkdir -p "$out"
file=$out/enf-fabric_${version}_$arch.tar
tar -C "$image" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf "$file" .
printf '%s: %s bytes, sha256 %s\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
