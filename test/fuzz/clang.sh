# Sourced by the fuzzers: puts into `clang` a clang that can link libFuzzer and the sanitizers, or says what to install and ends.
clang=$(command -v clang || ls /usr/bin/clang-* 2>/dev/null | grep -E 'clang-[0-9]+$' | sort -V | tail -1) || true
if [ -z "$clang" ]; then
  echo "$(basename "$0"): fuzzing needs clang, which is not installed" >&2
  echo "  → apt-get install clang \"libclang-rt-\$(apt-cache depends clang | grep -oE 'clang-[0-9]+' | head -1 | cut -d- -f2)-dev\"" >&2
  exit 1
fi
if ! "$clang" -x c -fsanitize=fuzzer,address,undefined -o /dev/null - 2>/dev/null <<'PROGRAM'
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return data == 0 && size != 0; }
PROGRAM
then
  version=$("$clang" -dumpversion | cut -d. -f1)
  echo "$(basename "$0"): $clang comes without libFuzzer and the sanitizers" >&2
  echo "  → apt-get install libclang-rt-$version-dev" >&2
  exit 1
fi
