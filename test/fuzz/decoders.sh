#!/usr/bin/env bash
# Sends changed certificates, lists of revoked ones, DNS messages, rules and files of CAs through their decoders, with the addon under AddressSanitizer.
#   test/fuzz/decoders.sh [SECONDS]     for each decoder, 60 by default; a finding is named by FUZZ_SEED, with which it is repeated
set -euo pipefail
cd "$(dirname "$0")/../.."
export FUZZ_SECONDS=${1:-60}
ASAN_TESTS=test/fuzz/decoders.test.ts bash test/native/asan.sh --testTimeout=0
