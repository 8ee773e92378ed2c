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
  TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp halt_on_error=1" \
    ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)"
}

scripts/dependencies.sh test
case "${1:-all}" in
  tidy) tidy ;;
  asan | tsan) sanitize "$1" ;;
  all) tidy; sanitize asan; sanitize tsan ;;
  *) echo "usage: scripts/check.sh [tidy|asan|tsan]" >&2; exit 2 ;;
esac
