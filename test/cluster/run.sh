#!/usr/bin/env bash
# A whole fabric on seven hosts and its devices, killed and cut apart piece by piece. See docs/scale.md, "All of it at once"; --help explains.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash setup.sh --cluster
exec node dist/test-cluster.mjs "$@"
