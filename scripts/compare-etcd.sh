#!/usr/bin/env bash
# Compares a cluster of three servers with one of etcd on this machine: the same load on both, in turn.
#
#   scripts/compare-etcd.sh [options]      see compare/README.md for what it does, and --help for the options
#
# It needs etcd, and a compiler for protocol buffers to build etcd's client. What is missing is installed from Debian's packages
# (etcd-server, protobuf-compiler), for this comparison alone: nothing else in this repository uses them, and the service that
# Debian would start is not started. With --etcd FILE it takes that program instead.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
if [[ " $* " != *" --etcd"* ]]; then command -v etcd > /dev/null || missing+=(etcd-server); fi
command -v protoc > /dev/null || missing+=(protobuf-compiler libprotobuf-dev)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || { echo "compare-etcd: run as root, or install first: ${missing[*]}" >&2; exit 2; }
  apt-get update
  # A policy that says no to starting services.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --release --features net --package shardlab --bin shardlab
cargo build --release --locked --manifest-path compare/Cargo.toml --target-dir "$target/compare"
mkdir -p "$target/compare-data"
status=0
"$target/compare/release/shardlab-compare" --shardlab "$target/release/shardlab" --dir "$target/compare-data" "$@" || status=$?
rm -rf "$target/compare-data"
exit $status
