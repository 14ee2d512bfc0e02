#!/bin/sh
# No path of one machine in any text file of the tree, and no shell script that shellcheck complains of.
. "$(dirname "$0")/common.sh"

find . -path ./.git -prune -o -path './build*' -prune -o -type f ! -name '*.gz' ! -name '*.bin' -print | sed 's|^\./||' | sort |
    xargs grep -nIE '(^|[^A-Za-z0-9_.}])/(tmp|root|home|work)/[A-Za-z]' >>"$findings" || true
if command -v shellcheck >/dev/null; then
    shellcheck run .ci/run >>"$findings" || true
    # SC1091: sourced by a computed name; SC2086: lists of files are words on purpose; SC2154: set by common.sh.
    find tests -name '*.sh' ! -name common.sh -exec shellcheck -e SC1091,SC2086,SC2046,SC2154 {} + >>"$findings" || true
fi
finish
