#!/bin/bash
# Makes a client's types from docs/openapi.json with openapi-typescript, and compiles a small program against them (`npm run test:openapi`).
# It needs the registry of npm: neither the generator nor its TypeScript is among the packages of this program.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund openapi-typescript@7.13.0 typescript@5.9.3
npx openapi-typescript "$root/docs/openapi.json" -o api.d.ts
cp "$root/test/fabric/api/generated.ts.txt" program.ts
npx tsc --strict --exactOptionalPropertyTypes --noEmit --module nodenext --target es2023 program.ts
echo 'the document makes a client'
