#!/bin/sh
# test_results.sh ROOT: results.py makes a table anew between its marks, leaves all else as it is, and refuses a page without its place.
set -eu
results=$1/tests/bench/results.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$1" >&2; exit 1; }

value='{"median": 500.0, "lower_quartile": 400.0, "upper_quartile": 600.0, "least": 1.0, "greatest": 999.0, "n": 5}'
share='{"median": 0.75, "lower_quartile": 0.7, "upper_quartile": 0.8, "least": 0.1, "greatest": 0.9, "n": 5}'
cat >"$work/train.json" <<JSON
{"schema": 1, "rows": [
 {"name": "B64", "threads": 2, "batch": 64, "step_us": $value, "gemm_us": $value, "gemm_share": $share}]}
JSON
printf 'above\n<!-- train -->\nold\n<!-- end -->\nbetween\n<!-- bf16 -->\n<!-- end -->\n<!-- compare -->\nkept\n<!-- end -->\nbelow\n' >"$work/page"
python3 "$results" "$work" "$work/page"
row='| B64 | 2 | 128.0 | 500 (400 to 600) | 500 | 75 % | 80 % (missed) |'
grep -qxF "$row" "$work/page" || fail 'the row is not as expected'
grep -q '^old$' "$work/page" && fail 'the old table stands'
for line in above between kept below; do grep -qx "$line" "$work/page" || fail "$line is gone"; done
cp "$work/page" "$work/again"
python3 "$results" "$work" "$work/again"
cmp "$work/page" "$work/again" || fail 'the second time gives another page'

printf 'no place\n' >"$work/page"
! python3 "$results" "$work" "$work/page" 2>"$work/said" || fail 'a page without the place was accepted'
grep -q 'train' "$work/said" || fail 'the table is not named'
[ "$(cat "$work/page")" = 'no place' ] || fail 'the page was changed'
