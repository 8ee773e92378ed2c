#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Weir beside what one would pick instead (tests/bench/peers/README.md): bench_peers.sh [--peers a,b] [--records N] [--rounds N]
# [--durability fsync,default] [--json]; --help tells the rest. Builds Weir, unless WEIR_BIN names its programs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

bench=(python3 -B "$here/tests/bench/peers/bench_peers.py")
case " $* " in *" --help "* | *" -h "*) exec "${bench[@]}" --help ;; esac
if [ -z "${WEIR_BIN:-}" ]; then
  "$here/scripts/dependencies.sh" build >&2
  tests=()
  [ -e /usr/include/gtest/gtest.h ] || tests=(-DWEIR_TESTS=OFF) # scripts/test.sh turns them on again; nothing is rebuilt
  (cd "$here" && cmake --preset release "${tests[@]}" && cmake --build --preset release --target weir_programs) >&2
  export WEIR_BIN="$here/build/release/bin"
fi

# Whatever ends this script ends the bench, which ends its servers; the kernel does where the bench itself is killed.
setpriv --pdeathsig TERM -- sh -c '[ "$PPID" = "$0" ] && exec "$@"' "$$" "${bench[@]}" "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
wait "$child"
