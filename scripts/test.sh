#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a release, checks the format and runs every test. Needs no flags; what it needs it installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/dependencies.sh test
echo "test: format"
git ls-files '*.h' '*.cc' '*.c' | xargs -r clang-format-16 --dry-run -Werror ||
  { echo "test: format differs; run: git ls-files '*.h' '*.cc' '*.c' | xargs clang-format-16 -i" >&2; exit 1; }
echo "test: build"
cmake --preset release
cmake --build --preset release
echo "test: run"
ctest --test-dir build/release --output-on-failure -j "$(nproc)"
