#!/usr/bin/env bash
# All tests: setup, types, style, unit and end-to-end tests, the native tests under AddressSanitizer, and a booted device.
# Ends with one line "N passed, N failed"; arguments go to vitest (e.g. a folder).
set -uo pipefail
cd "$(dirname "$0")/.."
bash setup.sh || exit 1
results=.cache/results.json
mkdir -p .cache
booted=.cache/qemu-$(dpkg --print-architecture)-firstboot-results.json
rm -f "$results" .cache/asan-results.json "$booted"
failed=0
printf '\033[1m==> types and style\033[0m\n'
npm run --silent check || failed=1
# An emulated processor and the archive of its packages take minutes: all else goes on meanwhile.
if [ $# -eq 0 ]; then
  setsid bash test/qemu/run.sh --short --built >.cache/booted.log 2>&1 &
  guest=$!
  trap 'kill -TERM -- -"$guest" 2>/dev/null; wait' EXIT
  trap 'exit 130' INT TERM
fi
printf '\033[1m==> tests\033[0m\n'
npx vitest run --reporter=default --reporter=json --outputFile.json="$results" "$@" || failed=1
if [ $# -eq 0 ]; then
  # Without root, addon and Debian's programs: only then does test:unit keep its word.
  printf '\033[1m==> unit tests as an ordinary user\033[0m\n'
  bash test/unit.sh || failed=1
  printf '\033[1m==> native tests under AddressSanitizer\033[0m\n'
  bash test/native/asan.sh --reporter=default --reporter=json --outputFile.json=.cache/asan-results.json || failed=1
  printf '\033[1m==> a booted device\033[0m\n'
  wait "$guest" || failed=1
  cat .cache/booted.log
fi
node - "$results" .cache/asan-results.json "$booted" "$failed" <<'JS'
const fs = require('node:fs');
let passed = 0, wrong = 0;
for (const file of process.argv.slice(2, 5)) {
  if (!fs.existsSync(file)) continue;
  const report = JSON.parse(fs.readFileSync(file, 'utf8'));
  passed += report.numPassedTests;
  wrong += report.numFailedTests + report.testResults.filter((each) => each.status === 'failed' && each.assertionResults.length === 0).length;
}
if (process.argv[5] === '1' && wrong === 0) wrong = 1; // types, style or a crash outside a test
console.log(`${passed} passed, ${wrong} failed`);
JS
exit $failed
