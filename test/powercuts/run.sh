#!/usr/bin/env bash
# Power cuts of a fabric under load, replayed from what it wrote. See docs/fabric.md, "What a power cut leaves".
set -euo pipefail
cd "$(dirname "$0")/../.."
usage() {
  cat <<'TEXT'
Records what a fabric under load of admissions, bans and new certificates writes to its disk, and starts it again from what power cuts leave.

Usage: npm run test:power-cuts [-- options]

Options:
  --cuts N    how many power cuts (default 500); above 100 the fabric has eight times as much to do
  --seed S    seed of the random cuts (default: another one each time; it is printed)
  --built     all that setup.sh does is done

Examples:
  npm run test:power-cuts
  npm run test:power-cuts -- --cuts 2000 --seed 42

Needs root, /dev/fuse and loop devices; takes about 20 minutes on two idle cores.
Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
TEXT
}
wrong() { printf 'test:power-cuts: %s\n  → %s\n' "$1" "npm run test:power-cuts -- --help" >&2; exit 2; }
cuts=500 seed=$((RANDOM * 32768 + RANDOM)) built=no
while [ $# -gt 0 ]; do
  case $1 in
    --cuts) cuts=${2:-}; shift; [[ $cuts =~ ^[1-9][0-9]*$ ]] || wrong "--cuts takes a number" ;;
    --seed) seed=${2:-}; shift; [[ $seed =~ ^[0-9]+$ ]] || wrong "--seed takes a number" ;;
    --built) built=yes ;;
    --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
  shift
done
[ $built = yes ] || bash setup.sh --tests
for device in /dev/fuse /dev/loop-control; do
  [ -e $device ] || { printf 'test:power-cuts: there is no %s\n  → %s\n' $device "load its module, or use a machine that has it" >&2; exit 1; }
done
ENF_POWER_CUTS=$cuts ENF_POWER_CUTS_SEED=$seed exec npx vitest run test/powercuts/powercuts.test.ts
