#!/usr/bin/env bash
# The main job: installs what is missing, builds, and plays the whole story on this machine. Arguments go to the demo
# (--cluster plays it on three hosts, --keep leaves everything running to poke around in; --help explains).
set -euo pipefail
cd "$(dirname "$0")"
with=()
for argument in "$@"; do
  [ "$argument" != --cluster ] || with=(--cluster)
done
bash setup.sh "${with[@]}"
exec node dist/demo.mjs "$@"
