#!/bin/sh
# headers.sh ROOT CC CXX VERSION: each public header compiles alone as C11 and C++17, without a warning; the version in the
# header is the project's.
cc=$2 cxx=$3 version=$4
. "$(dirname "$0")/common.sh"

for header in include/tread/*.h; do
    name=tread/${header##*/}
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" |
        $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -x c -fsyntax-only - >>"$findings" 2>&1 || found "$header fails as C11"
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" |
        $cxx -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -x c++ -fsyntax-only - >>"$findings" 2>&1 || found "$header fails as C++17"
    [ "$name" = tread/tread.h ] || grep -q "^#include <$name>" include/tread/tread.h || found "include/tread/tread.h: lacks <$name>"
    ! grep -nw restrict "$header" >>"$findings" || found "$header: restrict is no C++"
done
grep -q "TREAD_VERSION_STRING \"$version\"" include/tread/version.h || found "include/tread/version.h: not version $version"
numbers=$(sed -n 's/^#define TREAD_VERSION_\(MAJOR\|MINOR\|PATCH\) *//p' include/tread/version.h | paste -sd . -)
[ "$numbers" = "$version" ] || found "include/tread/version.h: the numbers say $numbers, the project $version"
finish
