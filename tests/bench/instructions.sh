#!/bin/sh
# instructions.sh BUILD [--write | --only LIST]: counts the instructions of the hot paths with callgrind and says what changed by more
# than 2 % against instructions.txt, which --write makes anew; ends with 1 where anything grew so.
#
# Three numbers a path, for one run of it: all; Tread's own, which is what is compared first; and that of oneDNN with the code that
# it makes. Callgrind knows no AVX-512, so it is the AVX2 code on one thread. The counts do not depend on the machine, but on the
# compiler and the libraries, so where those are others than the file's, changes are shown and not judged.
set -eu
export LC_ALL=C
folder=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
mode=${2:-}
only=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $mode in
'' | --write) [ -z "$only" ] ;;
--only) [ -n "$only" ] ;;
*) false ;;
esac || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
command -v valgrind >/dev/null || { echo 'instructions.sh: valgrind is not installed' >&2; exit 1; }

# ASLR is off, the environment all but empty and the folder another's, since addresses and the stack's place change a few counts.
run() {
    # shellcheck disable=SC2086 # an option and its value, or neither
    (cd "$work" && setarch -R env -i PATH="$PATH" TREAD_ISA=avx2 ONEDNN_MAX_CPU_ISA=avx2 GOMP_SPINCOUNT=1000 OMP_NUM_THREADS=1 \
        valgrind --tool=callgrind --toggle-collect=hot --dump-after=hot --callgrind-out-file="$work/out" \
        "$build/tests/bench/instructions" --json "$work/facts" ${only:+--only "$only"} 2>"$work/log") ||
        { cat "$work/log" >&2; exit 1; }
}

# sums DUMP RUNS: the three numbers. In callgrind's format cost lines are "position cost", and the line behind "calls=" is the callee's.
# Code in no file is what oneDNN has made.
sums() {
    awk -v runs="$2" '
        /^c?ob=/ { # "ob=(2) /lib/x.so" at its first place, "ob=(2)" later; cob= is of who is called
            id = $1; sub(/^c?ob=/, "", id)
            if (NF > 1) names[id] = $2
            if ($0 ~ /^ob=/) object = names[id]
        }
        /^calls=/ { skip = 1; next }
        /^[0-9+*-]/ && NF == 2 {
            if (skip) { skip = 0; next }
            all += $2
            if (object ~ /\/instructions$/) own += $2
            else if (object ~ /libdnnl/ || object !~ /^\//) products += $2
        }
        END { printf "%d %d %d\n", all / runs, own / runs, products / runs }' "$1"
}

run >"$work/paths"
field() { sed -n "s/^ *\"$1\": \"\(.*\)\",*\$/\1/p" "$work/facts"; }
versions="# $(field compiler), oneDNN $(field onednn), $(field libc), $(uname -m)"
{
    echo "$versions"
    echo '# path all own products'
    n=0
    while read -r name runs; do
        n=$((n + 1))
        echo "$name $(sums "$work/out.$n" "$runs")"
    done <"$work/paths"
} >"$work/new"

if [ "$mode" = --write ]; then
    cp "$work/new" "$folder/instructions.txt"
    exit
fi
[ "$(head -n 1 "$folder/instructions.txt")" = "$versions" ] && judged=1 || judged=0
[ "$judged" = 1 ] || printf 'The file is of other versions, so changes are not judged.\n  file  %s\n  here  %s\n' \
    "$(head -n 1 "$folder/instructions.txt")" "$versions"
awk -v judged="$judged" '
    function change(old, new) { return old == 0 ? 0 : 100 * (new / old - 1) }
    /^#/ { next }
    FNR == NR { all[$1] = $2; own[$1] = $3; next }
    FNR == 1 || !header++ { printf "%-24s %12s %12s %12s %9s %9s\n", "path, instructions a run", "all", "own", "products", "all", "own" }
    {
        if (!($1 in all)) { printf "%-24s %12d %12d %12d %19s\n", $1, $2, $3, $4, "new"; next }
        a = change(all[$1], $2); o = change(own[$1], $3); mark = ""
        if (a > 2 || o > 2) { mark = "  more"; worse = 1 } else if (a < -2 || o < -2) mark = "  less: --write keeps it"
        printf "%-24s %12d %12d %12d %+8.2f%% %+8.2f%%%s\n", $1, $2, $3, $4, a, o, mark
    }
    END { exit judged && worse }' "$folder/instructions.txt" "$work/new"
