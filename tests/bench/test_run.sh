#!/bin/sh
# test_run.sh ROOT: `./run bench` knows its benchmarks by name: --help and the refusal of another name list them all, and build nothing.
set -eu
fail() { echo "$1" >&2; exit 1; }

help=$("$1/run" bench --help) || fail '--help failed'
status=0
said=$("$1/run" bench nosuch 2>&1) || status=$?
[ "$status" = 1 ] || fail "an unknown name ends with $status"
for name in compare instructions figures "$1"/tests/bench/bench_*.c; do
    name=${name##*/bench_}
    name=${name%.c}
    echo "$help" | grep -qw "$name" || fail "--help does not list $name"
    echo "$said" | grep -qw "$name" || fail "the refusal does not list $name: $said"
done
echo "$said" | grep -q 'there is no benchmark nosuch' || fail "the name is not said: $said"
