#!/usr/bin/env bash
# All tests: setup, types, style, unit and end-to-end tests, the native tests under AddressSanitizer, and a booted device.
# Ends with one line "N passed, N failed"; arguments go to vitest (e.g. a folder).
set -uo pipefail
cd "$(dirname "$0")/.."
bash setup.sh --tests || exit 1
results=.cache/results.json
mkdir -p .cache
booted=.cache/qemu-$(dpkg --print-architecture)-firstboot-results.json
rm -f "$results" .cache/results-again.json .cache/asan-results.json "$booted" "${booted%.json}-again.json"
failed=
printf '\033[1m==> types and style\033[0m\n'
npm run --silent check || failed+=,'types and style'
# An emulated processor and the archive of its packages take minutes: all else goes on meanwhile.
if [ $# -eq 0 ]; then
  setsid bash test/qemu/run.sh --short --built >.cache/booted.log 2>&1 &
  guest=$!
  trap 'kill -TERM -- -"$guest" 2>/dev/null; wait' EXIT
  trap 'exit 130' INT TERM
fi
printf '\033[1m==> tests\033[0m\n'
npx vitest run --reporter=default --reporter=json --outputFile.json="$results" "$@"
tests=$?
if [ $# -eq 0 ]; then
  # Without root, addon and Debian's programs: only then does test:unit keep its word.
  printf '\033[1m==> unit tests as an ordinary user\033[0m\n'
  bash test/unit.sh || failed+=,'unit tests as an ordinary user'
  printf '\033[1m==> native tests under AddressSanitizer\033[0m\n'
  bash test/native/asan.sh --reporter=default --reporter=json --outputFile.json=.cache/asan-results.json || failed+=,'native tests under AddressSanitizer'
  printf '\033[1m==> a booted device\033[0m\n'
  wait "$guest"
  guest_failed=$?
  cat .cache/booted.log
  if [ "$guest_failed" -ne 0 ] && [ -e "$booted" ]; then
    # An emulator may end under a load that it alone would bear: as below, what passes only now is named in the end.
    printf '\033[1m==> second attempt: a booted device\033[0m\n'
    mv "$booted" .cache/booted-first.json
    bash test/qemu/run.sh --short --built || failed+=,'a booted device'
    [ ! -e "$booted" ] || mv "$booted" "${booted%.json}-again.json"
    mv .cache/booted-first.json "$booted"
  elif [ "$guest_failed" -ne 0 ]; then
    failed+=,'a booted device'
  fi
fi
if [ "$tests" -ne 0 ]; then
  # Now nothing else runs. What passes only now is named in the end; more than a few files are no accident.
  mapfile -t again < <(node test/summary.mjs failed-files "$results")
  if [ ${#again[@]} -gt 0 ] && [ ${#again[@]} -le 3 ]; then
    printf '\033[1m==> second attempt: %s\033[0m\n' "${again[*]}"
    npx vitest run --reporter=default --reporter=json --outputFile.json=.cache/results-again.json "${again[@]}" || failed+=,'second attempt'
  else
    failed+=,tests
  fi
fi
node test/summary.mjs closing "$failed" "$results" .cache/asan-results.json "$booted"
