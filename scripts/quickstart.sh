#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian 12 to a first result: installs packages, builds a release, counts the words of
# /usr/share/common-licenses, scrapes the metrics once, and shows what came out. Needs no flags; a second run rebuilds
# nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

topology=topologies/examples/wordcount.json
result=topologies/examples/out/counts.jsonl
data=.weir/wordcount
fail() { echo "quickstart: $*" >&2; exit 1; }

# http_get ADDRESS PATH: the body, with nothing but bash.
http_get() {
  local host_port=${1#http://}
  exec 3<>"/dev/tcp/${host_port%:*}/${host_port##*:}" || return 1
  printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$host_port" >&3
  sed '1,/^\r*$/d' <&3
  exec 3>&-
}
# The address that the running broker has announced; empty before.
http_address() { sed -n 's/.*"http" *: *"\([^"]*\)".*/\1/p' "$data/endpoint.json" 2>/dev/null || true; }
state() { http_get "$1" /api/status 2>/dev/null | grep -o '"state" *: *"[a-z]*"' | sed -n '1s/.*"\([a-z]*\)"$/\1/p'; }

echo "quickstart: 1. packages"
packages_start=$SECONDS
scripts/dependencies.sh build
build_start=$SECONDS

echo "quickstart: 2. build (the first time takes some minutes)"
tests=()
[ -e /usr/include/gtest/gtest.h ] || tests=(-DWEIR_TESTS=OFF) # scripts/test.sh turns them on again; nothing is rebuilt
cmake --preset release "${tests[@]}" >/dev/null || fail "cmake found a problem (above)"
cmake --build --preset release --target weir_programs || fail "the build failed (above)"
run_start=$SECONDS

echo "quickstart: 3. build/release/bin/weir run $topology --fresh --hold"
build/release/bin/weir run "$topology" --fresh --hold &
run=$!
trap 'kill -TERM "$run" 2>/dev/null || true; wait "$run" 2>/dev/null || true' EXIT
address=
until [ -n "$address" ] && [ "$(state "$address")" = finished ]; do
  kill -0 "$run" 2>/dev/null || { trap - EXIT; wait "$run" || true; fail "weir run ended before it had finished (above)"; }
  sleep 0.1
  address=$(http_address)
done
run_seconds=$((SECONDS - run_start))

echo "quickstart: 4. three lines of $address/metrics"
http_get "$address" /metrics | grep '^weir_stage_records_in_total' | awk 'NR <= 3'
kill -TERM "$run"
trap - EXIT
wait "$run" || fail "weir run failed (above)"

echo "quickstart: 5. the ten most frequent words"
sed -E 's/^\{"key":"([^"]*)","value":([0-9]+),.*/\2 \1/' "$result" | LC_ALL=C sort -k1,1nr -k2,2 | awk 'NR <= 10'

cat <<END
quickstart: all words: $PWD/$result
quickstart: packages $((build_start - packages_start)) s, build $((run_start - build_start)) s, word count $run_seconds s
quickstart: metrics of a running topology: curl -s $address/metrics
END
