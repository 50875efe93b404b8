#!/usr/bin/env bash
# Runs `npm run test:unit` as the user nobody, with no addon and no program in PATH but node: what it promises.
set -euo pipefail
cd "$(dirname "$0")/.."
path=$(mktemp -d)
trap 'rm -rf "$path"' EXIT
chmod 755 "$path"
ln -s "$(readlink -f "$(command -v node)")" "$path/node"
as=(setpriv --reuid nobody --regid nogroup --clear-groups)
# Where nobody may not read the checkout (below /root), root without any capability does.
"${as[@]}" test -r package.json || as=(setpriv --bounding-set=-all --inh-caps=-all --no-new-privs)
"${as[@]}" env -i PATH="$path" HOME="$path" ENF_ADDON="$path/none" \
  node node_modules/vitest/vitest.mjs run --config vitest.unit.config.mjs --configLoader native --reporter=dot
