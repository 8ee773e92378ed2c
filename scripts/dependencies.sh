#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that Weir needs: `build` (default) to build and run it, `test` for its tests and checks too.
set -euo pipefail

build_packages=(
  g++ cmake ninja-build pkg-config
  libzmq3-dev cppzmq-dev libmsgpack-cxx-dev nlohmann-json3-dev prometheus-cpp-dev
  libcli11-dev libspdlog-dev libfmt-dev libxxhash-dev liblz4-dev libzstd-dev librocksdb-dev libre2-dev zlib1g-dev libcpp-httplib-dev libvalijson-dev
)
test_packages=(
  libgtest-dev libgmock-dev libbenchmark-dev clang-16 libclang-rt-16-dev clang-tidy-16 clang-format-16
  python3 python3-zmq python3-msgpack gawk iproute2
)

case "${1:-build}" in
  build) packages=("${build_packages[@]}") ;;
  test) packages=("${build_packages[@]}" "${test_packages[@]}") ;;
  *) echo "usage: scripts/dependencies.sh [build|test]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "dependencies: all ${#packages[@]} packages are installed"
  exit 0
fi

line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=(sudo)
else
  echo "dependencies: neither root nor sudo; as root, run: apt-get update && $line" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "dependencies: installing ${#missing[@]} packages: ${missing[*]}"
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $line; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "dependencies: apt-get failed (above); mend that, or as root run: apt-get update && $line" >&2
  exit 1
fi
echo "dependencies: installed"
