#!/usr/bin/env bash
# The Debian packages where they belong: installed, configured, upgraded, removed and purged on a booted Debian.
#   test/packaging/install.sh [booted] [fabric] [bookworm] [trixie]     all by default; about five minutes, more the first time
#   test/packaging/install.sh --arch armhf                              see armhf.sh
# booted    this machine's own Debian in a container, on an overlay that is thrown away: systemd, the hardened unit of the agent, a software
#           TPM, a fabric on loopback
# fabric    the same for the packages of the fabric and the factory: founded, served, backed up, upgraded, restored, purged
# bookworm  Debian 12 as it is: refused, because its Node.js is 18
# trixie    Debian 13 as it is: installs with its own packages
# Needs root, systemd-container and debootstrap. Changes nothing on this machine but .cache and dist.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
die() { printf 'install.sh: %s\n' "$1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
if [ "${1:-}" = --arch ]; then
  [ "${2:-}" = armhf ] || die "no such architecture: ${2:-} (armhf)"
  exec bash test/packaging/armhf.sh
fi
command -v systemd-nspawn >/dev/null || die "install systemd-container"
command -v debootstrap >/dev/null || die "install debootstrap"

bash setup.sh --tests
bash packaging/deb.sh
mkdir -p "$root/.cache"
work=$(mktemp -d "$root/.cache/install-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages"
# Of each program the package, and the next version: the same but for its number.
for name in enf-agent enf-fabric enf-factory; do
  cp "$(ls -t dist/deb/${name}_*_"$(dpkg --print-architecture)".deb | head -1)" "$work/packages/$name.deb"
  dpkg-deb -R "$work/packages/$name.deb" "$work/$name"
  version=$(sed -n 's/^Version: //p' "$work/$name/DEBIAN/control")
  sed -i "s/^Version: .*/&+next/" "$work/$name/DEBIAN/control"
  for script in "$work/$name"/DEBIAN/p*; do [ ! -e "$script" ] || sed -i "s/\"$version\"/\"$version+next\"/" "$script"; done
  dpkg-deb --root-owner-group -b "$work/$name" "$work/packages/$name-next.deb" >/dev/null
done

# stage LOWER COMMAND…: runs the command in a mount namespace where /run/stage is LOWER with a writable layer on top.
stage() {
  unshare --mount --propagation private bash -euc '
    lower=$1; shift
    mount -t tmpfs none /run
    mkdir -p /run/stage /run/layer/upper /run/layer/work /run/systemd
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=/run/layer/upper,workdir=/run/layer/work" /run/stage
    "$@"' stage "$@"
}

base() {
  local suite=$1 folder=$root/.cache/debian-$1
  if [ ! -e "$folder/.complete" ]; then
    rm -rf "$folder"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,udev "$suite" "$folder" >"$work/debootstrap.log" ||
      { tail -5 "$work/debootstrap.log" >&2; die "debootstrap $suite failed"; }
    touch "$folder/.complete"
  fi
  echo "$folder"
}

failed=0
for what in ${*:-booted fabric bookworm trixie}; do
  printf '\033[1m==> %s\033[0m\n' "$what"
  case $what in
    booted | fabric)
      # Node.js may have come without a package; then a stand-in satisfies the dependency.
      if ! dpkg --compare-versions "$(dpkg-query -W -f '${Version}' nodejs 2>/dev/null || echo 0)" ge 20; then
        mkdir -p "$work/node/DEBIAN" "$work/node/usr/bin"
        cp "$(readlink -f "$(command -v node)")" "$work/node/usr/bin/node"
        printf 'Package: nodejs\nVersion: %s\nArchitecture: %s\nMaintainer: test <test@enf.invalid>\nDescription: stand-in\n' \
          "$(node -p process.versions.node)" "$(dpkg --print-architecture)" >"$work/node/DEBIAN/control"
        dpkg-deb -b "$work/node" "$work/packages/0-nodejs.deb" >/dev/null
      fi
      mkdir -p "$work/upper/etc/systemd/system/multi-user.target.wants"
      script=guest.sh
      [ "$what" = booted ] || script=fabric-guest.sh
      sed "s/guest.sh/$script/" test/packaging/guest.service >"$work/upper/etc/systemd/system/guest.service"
      ln -sf ../guest.service "$work/upper/etc/systemd/system/multi-user.target.wants/"
      : >"$work/result"
      # What the machine itself starts at boot is no part of this, nor a container's ban on starting services.
      stage / bash -euc '
        rm -f /run/stage/etc/systemd/system/*.wants/* /run/stage/etc/fstab /run/stage/usr/sbin/policy-rc.d
        cp -a "$1/upper/." /run/stage/
        systemd-nspawn --quiet --boot --directory=/run/stage --register=no --keep-unit --private-network --console=pipe \
          --bind=/dev/net/tun --bind-ro="$2:/enf" --bind-ro="$1/packages:/packages" --bind="$1/result:/result" </dev/null \
          >"$1/console" 2>&1 || true' booted "$work" "$root"
      cat "$work/result"
      grep -q '^all done$' "$work/result" && ! grep -q '^FAILED' "$work/result" || { failed=1; tail -5 "$work/console"; }
      ;;
    bookworm | trixie)
      lower=$(base "$what")
      stage "$lower" bash -euc '
        cp -r "$1/packages" /run/stage/packages
        cp "$2/test/packaging/chroot.sh" /run/stage/
        mount --rbind /dev /run/stage/dev
        mount -t proc proc /run/stage/proc
        cp /etc/resolv.conf /etc/hosts /run/stage/etc/
        chroot /run/stage bash /chroot.sh "$3"' chroot "$work" "$root" "$what" || failed=1
      ;;
    *) die "unknown: $what" ;;
  esac
done
exit $failed
