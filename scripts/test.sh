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
results=$PWD/build/release/tests.xml
ctest --test-dir build/release --output-on-failure --output-junit "$results" -j "$(nproc)" && exit
status=$?
# What failed, once more at the end, where it is found: each with the end of what it printed.
python3 - "$results" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

for test in tree.parse(sys.argv[1]).iter("testcase"):
    if test.find("failure") is not None:
        print("\ntest: failed: %s" % test.get("name"), *(test.findtext("system-out") or "").splitlines()[-40:], sep="\n  ")
PYTHON
exit "$status"
