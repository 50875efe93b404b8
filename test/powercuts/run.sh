#!/usr/bin/env bash
# Power cuts of a fabric and of its database server under load, replayed from what they wrote. See docs/fabric.md, "What a power cut leaves".
set -euo pipefail
cd "$(dirname "$0")/../.."
usage() {
  cat <<'TEXT'
Records what a fabric under load of admissions, bans and new certificates writes to its disk, and starts it again from what power cuts leave;
then the same of the PostgreSQL server that has the registry.

Usage: npm run test:power-cuts [-- options]

Options:
  --cuts N            how many power cuts of the fabric (default 500); above 100 it has eight times as much to do. 0: none
  --database-cuts N   the same of the database server (default 300)
  --seed S            seed of the random cuts (default: another one each time; it is printed)
  --built             all that setup.sh does is done

Examples:
  npm run test:power-cuts
  npm run test:power-cuts -- --cuts 2000 --seed 42
  npm run test:power-cuts -- --cuts 0 --database-cuts 1000

Needs root, /dev/fuse and loop devices; takes about 25 minutes on two idle cores.
Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
TEXT
}
wrong() { printf 'test:power-cuts: %s\n  → %s\n' "$1" "npm run test:power-cuts -- --help" >&2; exit 2; }
cuts=500 database_cuts=300 seed=$((RANDOM * 32768 + RANDOM)) built=no
while [ $# -gt 0 ]; do
  case $1 in
    --cuts) cuts=${2:-}; shift; [[ $cuts =~ ^(0|[1-9][0-9]*)$ ]] || wrong "--cuts takes a number" ;;
    --database-cuts) database_cuts=${2:-}; shift; [[ $database_cuts =~ ^(0|[1-9][0-9]*)$ ]] || wrong "--database-cuts takes a number" ;;
    --seed) seed=${2:-}; shift; [[ $seed =~ ^[0-9]+$ ]] || wrong "--seed takes a number" ;;
    --built) built=yes ;;
    --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
  shift
done
files=()
[ "$cuts" = 0 ] || files+=(test/powercuts/powercuts.test.ts)
[ "$database_cuts" = 0 ] || files+=(test/powercuts/database/database.test.ts)
[ ${#files[@]} -gt 0 ] || wrong "there is no power cut to make"
[ $built = yes ] || bash setup.sh --tests
for device in /dev/fuse /dev/loop-control; do
  [ -e $device ] || { printf 'test:power-cuts: there is no %s\n  → %s\n' $device "load its module, or use a machine that has it" >&2; exit 1; }
done
export ENF_POWER_CUTS=$cuts ENF_POWER_CUTS_DATABASE=$database_cuts ENF_POWER_CUTS_SEED=$seed
exec npx vitest run --no-file-parallelism "${files[@]}"
