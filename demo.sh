#!/usr/bin/env bash
# The main job: installs what is missing, builds, and plays the whole story on this machine. Arguments go to the demo
# (--keep leaves everything running to poke around in; --help explains).
set -euo pipefail
cd "$(dirname "$0")"
bash setup.sh
exec node dist/demo.mjs "$@"
