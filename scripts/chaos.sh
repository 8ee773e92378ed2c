#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The real processes under random faults for so many minutes: chaos.sh MINUTES [SEED]. As root a full disk is one of them,
# for a third of the time workers live behind a link that is cut, slow and lossy, and for a third the power is cut; then
# --fresh is cut short a few times a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  "" | *[!0-9]*) echo "usage: scripts/chaos.sh MINUTES [SEED]" >&2; exit 2 ;;
esac
scripts/dependencies.sh test
cmake --preset release >/dev/null
cmake --build --preset release
export WEIR_BIN="$PWD/build/release/bin"
python3 tests/chaos/chaos_test.py "$(($1 * 20))" ${2:+"$2"}
python3 tests/chaos/network_test.py "$(($1 * 20))" ${2:+"$2"} || [ $? = 77 ]
python3 tests/chaos/power_cut_test.py "$(($1 * 20))" build/release/tests/power_cut.so ${2:+"$2"}
python3 tests/chaos/fresh_test.py "$(($1 * 4))" build/release/tests/power_cut.so ${2:+"$2"}
