#!/bin/sh
# install.sh SOURCE BUILD CC: installs into a temporary folder and builds each program of examples/ against that copy through
# pkg-config, as a user would, with the shared and with the static library, and runs it.
set -eu
source=$(cd "$1" && pwd) build=$2 cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
complain() {
    printf '%s\n' "$*"
    failures=$((failures + 1))
}

DESTDIR=$work/copy meson install -C "$build" --no-rebuild >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
pc=$(find "$work/copy" -name tread.pc)
[ -n "$pc" ] || { echo 'tread.pc was not installed'; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$work/copy PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS
libdir=$work/copy$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir tread)
data=$(find "$work/copy" -path '*/share/tread/mnist' -type d)
examples=$(find "$work/copy" -path '*/share/doc/tread/examples' -type d)
for file in "$libdir/libtread.so" "$libdir/libtread.a" "$data/train-images-idx3-ubyte.gz"; do
    [ -f "$file" ] || complain "$file was not installed"
done
for header in "$source"/include/tread/*.h; do
    [ -n "$(find "$work/copy" -path "*/include/tread/${header##*/}")" ] || complain "${header##*/} was not installed"
done
for page in "$source"/docs/*.md; do
    cmp -s "$page" "${examples%/examples}/docs/${page##*/}" || complain "docs/${page##*/} was not installed"
done
readelf -dW "$libdir/libtread.so" | grep -q NODELETE || complain 'libtread.so is not linked with -z nodelete'
command=$(find "$work/copy" -path '*/bin/tread')
"$command" --version | grep -q "^tread $(pkg-config --modversion tread)$" || complain 'the installed command does not say the version of tread.pc'

# Those that take a number of epochs are given 1.
export TREAD_DATA="$data"
build_and_run() { # NAME KIND LIBRARIES
    # Words on purpose: these are lists of arguments.
    # shellcheck disable=SC2046,SC2086
    if ! $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 "$examples/$1.c" -o "$work/$1-$2" $(pkg-config --cflags tread) $3 -lm \
        >"$work/log" 2>&1; then
        cat "$work/log"
        complain "examples/$1.c does not build with the $2 library"
    elif ! (cd "$work" && LD_LIBRARY_PATH=$libdir "./$1-$2" 1) >"$work/log" 2>&1; then
        cat "$work/log"
        complain "examples/$1.c fails with the $2 library"
    else # what cannot be made is NULL, which is said, and no crash
        status=0
        (cd "$work" && TREAD_NUM_THREADS=x LD_LIBRARY_PATH=$libdir "./$1-$2" 1) >"$work/log" 2>&1 || status=$?
        { [ "$status" = 1 ] && grep -q TREAD_NUM_THREADS "$work/log"; } ||
            complain "examples/$1.c ends with $status where the library cannot begin: $(cat "$work/log")"
    fi
}
count=0
for file in "$source"/examples/*.c; do
    [ -f "$file" ] || continue
    name=$(basename "$file" .c)
    cmp -s "$file" "$examples/$name.c" || complain "examples/$name.c was not installed"
    build_and_run "$name" shared "$(pkg-config --libs tread)"
    build_and_run "$name" static "$(pkg-config --static --libs tread | sed 's/-ltread\b/-l:libtread.a/')"
    ! readelf -dW "$work/$name-static" 2>/dev/null | grep -q 'NEEDED.*libtread' || complain "$name-static is linked to the shared library"
    count=$((count + 1))
done
[ "$count" -gt 0 ] || complain 'there is no examples/*.c'
[ "$failures" = 0 ] && echo "$count examples built and ran, shared and static"
