#!/bin/sh
# symbols.sh ROOT LIBRARY CC [--write]: what the shared library exports is what tests/lint/symbols.txt lists and what the public
# headers declare with TREAD_API. --write makes the list anew.
library_file=$2 cc=$3 write=${4:-}
case $library_file in /*) ;; *) library_file=$PWD/$library_file ;; esac
. "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work" "$findings"' EXIT

nm -D --defined-only "$library_file" | awk '{ print $3 }' | sed 's/@.*//' | LC_ALL=C sort -u >"$work/exported"
[ -z "$write" ] || cp "$work/exported" tests/lint/symbols.txt
# The name before the parenthesis or the semicolon of each declaration that TREAD_API begins.
for header in include/tread/*.h; do printf '#include <tread/%s>\n' "${header##*/}"; done |
    $cc -std=c11 -Iinclude -E -P -x c - | tr '\n' ' ' |
    sed 's/__attribute__((visibility("default")))/\nTREAD_API /g' | sed -n 's/^TREAD_API [^(;]*[ *]\([a-z][a-z0-9_]*\) *[(;[].*/\1/p' |
    LC_ALL=C sort -u >"$work/declared"
LC_ALL=C sort -cu tests/lint/symbols.txt || found "tests/lint/symbols.txt: not sorted"
differ() { # FILE FILE SENTENCE
    LC_ALL=C comm -23 "$1" "$2" | while read -r symbol; do found "$symbol: $3"; done
}
differ "$work/exported" tests/lint/symbols.txt 'exported, but not in tests/lint/symbols.txt'
differ tests/lint/symbols.txt "$work/exported" 'in tests/lint/symbols.txt, but not exported'
differ "$work/exported" "$work/declared" 'exported, but no public header declares it with TREAD_API'
differ "$work/declared" "$work/exported" 'declared with TREAD_API, but not exported'
finish
