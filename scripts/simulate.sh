#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the simulation on fresh seeds for so many minutes: simulate.sh MINUTES. A seed that fails prints itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  "" | *[!0-9]*) echo "usage: scripts/simulate.sh MINUTES" >&2; exit 2 ;;
esac
scripts/dependencies.sh test
cmake --preset release >/dev/null
cmake --build --preset release --target simulation_test
WEIR_SIMULATION_SECONDS=$(($1 * 60)) build/release/tests/simulation_test --gtest_filter='*Fresh*'
