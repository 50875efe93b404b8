#!/usr/bin/env bash
# Makes a release of the agent for other build systems, in dist/release:
#   enf-agent-VERSION.tar.gz   the bundle, the sources of the addon, units, man pages, licences: what is from npm is in it, nothing is fetched
#   meta-enf/                  the layer for Yocto, whose recipe names that tarball with its SHA-256
# The same sources give the same bytes.
#   packaging/release.sh [--out DIR]
#   SOURCE_DATE_EPOCH   the time in all files, seconds since 1970; that of the last commit by default
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/dist/release
[ "${1:-}" != --out ] || { mkdir -p "${2:?--out needs a value}"; out=$(cd "$2" && pwd); }
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || true)}"
[ -n "$SOURCE_DATE_EPOCH" ] || { echo "release.sh: not a git checkout: set SOURCE_DATE_EPOCH to the time of this version" >&2; exit 1; }
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$root/packaging/program.sh"
version=$(node -p "require('$root/package.json').version")
name=enf-agent-$version
tree=$work/$name

bundle enf-agent "$tree/bundle"
# The libraries are those of the system that builds the addon.
MAINTAINER="enf maintainers <maintainers@enf.invalid>" LIBRARIES=libc6 NODE_MAJORS=20 describe enf-agent "$work/made"
install -d "$tree/native" "$tree/doc" "$tree/system"
(cd "$root/native" && find . \( -name '*.[chS]' -o -name '*.inc' -o -name Makefile -o -name build.sh \) -print0 | xargs -0 cp --parents -t "$tree/native")
for folder in "$root"/packaging/agent/*/; do
  case $(basename "$folder") in debian | examples) ;; *) cp -r "$folder" "$tree/system/" ;; esac
done
cp "$work/made"/{enf-agent.1,enf-agent.toml.5,enf-agent.bash,sbom.spdx.json} "$tree/doc/"
cp "$root/LICENSE" "$work/made/THIRD-PARTY" "$tree/"
chmod -R u=rwX,go=rX "$tree"
rm -rf "$out/meta-enf" "$out/$name.tar.gz"
mkdir -p "$out"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"

cp -r "$root/yocto/meta-enf" "$out/meta-enf"
recipe=$out/meta-enf/recipes-enf/enf-agent/enf-agent_$version.bb
digest() { "$1" "$2" | cut -d ' ' -f 1; }
template=$out/meta-enf/recipes-enf/enf-agent/enf-agent.bb.in
sed -e "s/@SHA256@/$(digest sha256sum "$out/$name.tar.gz")/" -e "s/@LICENSE_MD5@/$(digest md5sum "$tree/LICENSE")/" \
  -e "s/@THIRD_PARTY_MD5@/$(digest md5sum "$tree/THIRD-PARTY")/" "$template" >"$recipe"
rm "$template"
printf '%s: %d bytes, and the layer %s\n' "$out/$name.tar.gz" "$(stat -c %s "$out/$name.tar.gz")" "$out/meta-enf"
