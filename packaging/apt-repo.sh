#!/usr/bin/env bash
# Makes a signed apt repository of the packages in dist/deb, or adds them to one that is there: dist/apt, to be served by any web server.
#   packaging/apt-repo.sh --key KEY [--packages DIR] [--out DIR] [--suite NAME] [--origin TEXT]
#     --key        who signs: a key id, fingerprint or mail address in the keyring of gpg
#     --packages   the folder with the packages; dist/deb by default
#     --out        the repository; dist/apt by default. Versions that are in it stay
#     --suite      stable by default
#   SOURCE_DATE_EPOCH   the date of the index, seconds since 1970; now by default
# Its users put enf-archive.gpg from it into /usr/share/keyrings, and into /etc/apt/sources.list.d/enf.sources what it prints.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/.." && pwd)
packages=$root/dist/deb out=$root/dist/apt suite=stable origin=enf key=
die() { printf 'apt-repo.sh: %s\n' "$1" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --key) key=${2:?--key needs a value} ;;
    --packages) packages=${2:?--packages needs a value} ;;
    --out) out=${2:?--out needs a value} ;;
    --suite) suite=${2:?--suite needs a value} ;;
    --origin) origin=${2:?--origin needs a value} ;;
    *) die "unknown argument $1; see the head of $0" ;;
  esac
  shift 2
done
[ -n "$key" ] || die "who signs? Give --key, e.g. the mail address of a key that \"gpg --list-secret-keys\" shows"
for tool in gpg dpkg-scanpackages; do command -v $tool >/dev/null || die "$tool is not there: install gnupg and dpkg-dev"; done
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 || die "gpg has no secret key $key"
shopt -s nullglob
found=("$packages"/enf-*.deb)
[ ${#found[@]} -gt 0 ] || die "no packages in $packages: make them with \"npm run deb\""

# The same name never stands for other bytes: whoever has installed a version has that version.
mkdir -p "$out/pool"
out=$(cd "$out" && pwd)
for package in "${found[@]}"; do
  name=$(basename "$package")
  if [ -e "$out/pool/$name" ]; then
    cmp -s "$package" "$out/pool/$name" || die "$name is in the repository already, with other bytes: raise the version"
  else
    cp "$package" "$out/pool/"
  fi
done

# The new index beside the old one; then it takes its place.
work=$(mktemp -d "$out/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
for arch in amd64 arm64; do
  index=$work/main/binary-$arch
  mkdir -p "$index"
  (cd "$out" && dpkg-scanpackages --multiversion --arch "$arch" pool 2>/dev/null) >"$index/Packages"
  gzip -9nk "$index/Packages"
done
{
  printf 'Origin: %s\nLabel: %s\nSuite: %s\nCodename: %s\nComponents: main\nArchitectures: amd64 arm64\nDate: %s\nSHA256:\n' \
    "$origin" "$origin" "$suite" "$suite" "$(date -uR ${SOURCE_DATE_EPOCH:+-d "@$SOURCE_DATE_EPOCH"})"
  (cd "$work" && find main -type f | sort | while read -r file; do
    printf ' %s %d %s\n' "$(sha256sum "$file" | cut -d ' ' -f 1)" "$(stat -c %s "$file")" "$file"
  done)
} >"$work/Release"
gpg --batch --yes --local-user "$key" --clearsign --output "$work/InRelease" "$work/Release"
gpg --batch --yes --local-user "$key" --armor --detach-sign --output "$work/Release.gpg" "$work/Release"
gpg --batch --export "$key" >"$out/enf-archive.gpg"
chmod -R u=rwX,go=rX "$work"
mkdir -p "$out/dists"
rm -rf "$out/dists/$suite.old"
[ ! -e "$out/dists/$suite" ] || mv "$out/dists/$suite" "$out/dists/$suite.old"
mv "$work" "$out/dists/$suite"
trap - EXIT
rm -rf "$out/dists/$suite.old"
cat <<TEXT
$out: $(ls "$out/pool" | wc -l) packages, signed by $key. Its users need enf-archive.gpg from it, and

Types: deb
URIs: https://YOUR.HOST/apt
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/enf-archive.gpg
TEXT
