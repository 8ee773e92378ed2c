#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The slow checks: clang-tidy over every source, then all tests under the address, undefined and thread sanitizers.
# check.sh [tidy|asan|tsan] runs one of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tidy() {
  echo "check: clang-tidy"
  cmake --preset clang >/dev/null
  cmake --build --preset clang
  git ls-files '*.cc' | xargs -P "$(nproc)" -n 4 clang-tidy-16 --quiet -p build/clang
}
sanitize() {
  echo "check: $1"
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1"
  # What a sanitizer says goes into files: it may say it in a broker or a worker, which the launcher then starts again as
  # after any death, so that the test passes all the same.
  local reports="$PWD/build/$1/reports" failed=0
  rm -rf "$reports" && mkdir "$reports"
  local options="halt_on_error=1:log_path=$reports/report"
  ASAN_OPTIONS="$options" UBSAN_OPTIONS="$options:print_stacktrace=1" LSAN_OPTIONS="log_path=$reports/report" \
    TSAN_OPTIONS="$options:suppressions=$PWD/tests/support/tsan.supp" \
    ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)" || failed=1
  if [ -n "$(ls "$reports")" ]; then
    tail -n 60 "$reports"/report.* >&2
    echo "check: $(ls "$reports" | wc -l) processes were reported by the sanitizer; the reports are in build/$1/reports" >&2
    failed=1
  fi
  return "$failed"
}

scripts/dependencies.sh test
case "${1:-all}" in
  tidy) tidy ;;
  asan | tsan) sanitize "$1" ;;
  all) tidy; sanitize asan; sanitize tsan ;;
  *) echo "usage: scripts/check.sh [tidy|asan|tsan]" >&2; exit 2 ;;
esac
