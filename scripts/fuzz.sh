#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs libFuzzer over the targets of tests/fuzz, so many minutes each: fuzz.sh MINUTES [TARGET...]. An input that fails is
# left in build/fuzz/found; what it learned is in build/fuzz/learned, where the next run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  "" | *[!0-9]*) echo "usage: scripts/fuzz.sh MINUTES [TARGET...]" >&2; exit 2 ;;
esac
seconds=$(($1 * 60))
shift
scripts/dependencies.sh test
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
if [ $# -eq 0 ]; then
  for program in build/fuzz/tests/fuzz_*; do set -- "$@" "${program##*/fuzz_}"; done
fi
mkdir -p build/fuzz/found
failed=()
for target in "$@"; do
  program=build/fuzz/tests/fuzz_$target
  [ -x "$program" ] || { echo "fuzz: there is no target $target; they are the .cc files of tests/fuzz/CMakeLists.txt" >&2; exit 2; }
  echo "fuzz: $target"
  learned=build/fuzz/learned/$target
  "$program" --seeds "$learned"
  corpora=("$learned")
  [ ! -d "tests/fuzz/corpus/$target" ] || corpora+=("tests/fuzz/corpus/$target")
  "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=16384 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/found/$target-" "${corpora[@]}" || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: ${failed[*]} failed; the inputs are in build/fuzz/found. Mend the code, and keep the input in tests/fuzz/corpus" >&2
  exit 1
fi
