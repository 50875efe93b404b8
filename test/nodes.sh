#!/usr/bin/env bash
# Runs all tests on the other Node releases we support (22 and 24 by default), each in a tree of its own under .cache/.
# The binaries and their headers come from the npm package "node-linux-<arch>".
set -euo pipefail
cd "$(dirname "$0")/.."
bash setup.sh --tests --no-build
case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "no node binaries for $(uname -m) on the registry" >&2; exit 1 ;; esac
releases=("$@")
[ $# -gt 0 ] || releases=(22 24)
failed=()
for release in "${releases[@]}"; do
  home=$PWD/.cache/node$release
  printf '\033[1m==> Node %s\033[0m\n' "$release"
  rm -rf "$home/tree" && mkdir -p "$home/tree"
  if [ ! -x "$home/package/bin/node" ]; then
    (cd "$home" && tar -xzf "$(npm pack --silent "node-linux-$arch@$release" | tail -n 1)" && rm -f ./*.tgz)
  fi
  git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$home/tree"
  (
    cd "$home/tree"
    export PATH="$home/package/bin:$PATH" npm_config_nodedir="$home/package" NODE_INCLUDE="$home/package/include/node"
    node --version
    npm ci --loglevel=error
    node build.mjs
    npx vitest run
  ) || failed+=("$release")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed on Node ${failed[*]}" >&2
  exit 1
fi
echo "passed on Node ${releases[*]}"
