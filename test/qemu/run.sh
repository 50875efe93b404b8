#!/usr/bin/env bash
# Tests on a booted Debian with a software TPM, in QEMU. See docs/qemu.md.
set -uo pipefail
cd "$(dirname "$0")/../.."
usage() {
  cat <<'TEXT'
Boots a Debian 13 with our package and a software TPM in QEMU, against a real fabric on this machine, and cuts its power.

Usage: npm run test:qemu [-- options]

Options:
  --short        only the first boot, a reboot and ten power cuts: what "npm test" has time for
  --only NAME    one scenario: firstboot, running, boots, powercut; or image, factory-image, underlay: those of a gateway, of a factory, and of nodes, in no run of all
  --cuts N       how many power cuts in all (default 200, or 10 with --short); with --only all are of that scenario
  --seed S       seed of the random cuts (default: another one each time; it is printed)
  --arch ARCH    amd64 or arm64; arm64 boots and provisions only; docs/qemu.md says what it needs
  --built        all that setup.sh does is done

Examples:
  npm run test:qemu
  npm run test:qemu -- --only powercut --cuts 1000 --seed 42
  npm run test:qemu -- --arch arm64

Needs root on Debian; takes under an hour on two idle cores. The guest's image is kept in .cache/qemu.
Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
TEXT
}
wrong() { printf 'test:qemu: %s\n  → %s\n' "$1" "npm run test:qemu -- --help" >&2; exit 2; }
short=no built=no only= cuts= seed=$((RANDOM * 32768 + RANDOM)) arch=$(dpkg --print-architecture)
while [ $# -gt 0 ]; do
  case $1 in
    --short) short=yes ;;
    --built) built=yes ;;
    --only) only=${2:-}; shift; [ -n "$only" ] && [ -e "test/qemu/$only.qemu.ts" ] || wrong "no such scenario: $only" ;;
    --cuts) cuts=${2:-}; shift; [[ $cuts =~ ^[0-9]+$ ]] || wrong "--cuts takes a number" ;;
    --seed) seed=${2:-}; shift; [[ $seed =~ ^[0-9]+$ ]] || wrong "--seed takes a number" ;;
    --arch) arch=${2:-}; shift; [[ $arch =~ ^(amd64|arm64)$ ]] || wrong "--arch takes amd64 or arm64" ;;
    --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
  shift
done
# What has no power cuts of a number that one could choose.
alone() { [[ $only =~ ^((factory-)?image|underlay)$ ]]; }
# Another architecture's guest shows that it boots and provisions; its power cuts would be the same ones.
[ "$arch" = "$(dpkg --print-architecture)" ] || alone || short=yes
[ $short = no ] || only=${only:-firstboot}
[ -n "$cuts" ] || { [ $short = yes ] && cuts=10 || cuts=200; }

system=qemu-system-x86_64
[ "$arch" = amd64 ] || system=qemu-system-aarch64

step() { printf '\033[1m==> %s\033[0m\n' "$*"; }
[ $built = yes ] || bash setup.sh --tests || exit 1
command -v $system >/dev/null || { echo "test:qemu: $system is not installed; see docs/qemu.md" >&2; exit 1; }
step "image for $arch"
case $only in image) maker=gateway ;; factory-image) maker=board ;; underlay) maker=underlay ;; *) maker=image ;; esac
image=$(bash test/qemu/$maker.sh "$arch") || exit 1
exec 8<"$image"
flock --shared 8

work=$(mktemp -d)
# What this run and those that have ended left behind; each has its process in its names, which may only just be ending.
clean() {
  own=$(ps -o pgid= -p $$)
  for namespace in $(ip netns list | grep -o '^enf-q-[^ ]*'); do
    group=$(ps -o pgid= -p "$(sed -E 's/^enf-q-[a-z]*([0-9]+)-.*/\1/' <<<"$namespace")")
    [ -z "$group" ] || [ "$group" = "$own" ] || continue
    ip netns pids "$namespace" | xargs -r kill -9
    ip netns del "$namespace"
  done
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
# A run of all replaces what parts of it have left.
results=.cache/qemu-$arch${only:+-$only}-results.json
[ -n "$only" ] || rm -f .cache/qemu-"$arch"*results.json
rm -f "$results"
alone && step "guests: seed $seed" || step "guests: $cuts power cuts, seed $seed"
export ENF_QEMU_IMAGE=$image ENF_QEMU_ARCH=$arch ENF_QEMU_CUTS=$cuts ENF_QEMU_SEED=$seed ENF_QEMU_ALONE=${only:+yes}
which=(--exclude 'test/qemu/{image,factory-image,underlay}.qemu.ts')
[ -z "$only" ] || which=("test/qemu/$only.qemu.ts")
TMPDIR=$work npx vitest run --config vitest.qemu.config.ts --reporter=default --reporter=json --outputFile.json="$results" \
  "${which[@]}"
node test/qemu/summary.mjs "$results" "$seed"
