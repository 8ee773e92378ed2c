#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quickstart_test.sh SOURCE_DIR BUILD_DIR: runs scripts/quickstart.sh on programs that are built already (its packages
# and cmake are stand-ins that do nothing) and compares its ten lines with what the shell counts.
set -euo pipefail
source_dir=$1
build_dir=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder/scripts" "$folder/topologies" "$folder/build" "$folder/stand_ins"
cp "$source_dir/scripts/quickstart.sh" "$folder/scripts/"
cp -r "$source_dir/topologies/examples" "$folder/topologies/examples"
rm -rf "$folder/topologies/examples/out"
ln -s "$build_dir" "$folder/build/release"
printf '#!/bin/sh\n' | tee "$folder/scripts/dependencies.sh" >"$folder/stand_ins/cmake"
chmod +x "$folder/scripts/dependencies.sh" "$folder/stand_ins/cmake"

PATH="$folder/stand_ins:$PATH" "$folder/scripts/quickstart.sh" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
sed -n '/ten most frequent words/,/all words/p' "$folder/log" | grep -v '^quickstart' >"$folder/told"
cat /usr/share/common-licenses/* | tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c |
  LC_ALL=C sort -k1,1nr -k2,2 | awk 'NR <= 10 {print $1, $2}' >"$folder/expected"
diff "$folder/expected" "$folder/told" || { cat "$folder/log"; exit 1; }
[ "$(grep -c '^weir_stage_records_in_total' "$folder/log")" = 3 ] || { cat "$folder/log"; exit 1; }
grep -q '^finished wordcount in ' "$folder/log"
