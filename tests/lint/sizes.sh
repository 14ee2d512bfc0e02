#!/bin/sh
# No source over 600 lines and no function of 80 lines or more.
. "$(dirname "$0")/common.sh"

for file in $(sources $library cli examples tests include); do
    awk -v file="$file" '
        /^[A-Za-z_].*\(/ { start = NR }
        /^}/ { if (start && NR - start + 1 >= 80) printf "%s:%d: a function of %d lines\n", file, start, NR - start + 1; start = 0 }
        END { if (NR > 600) printf "%s: %d lines\n", file, NR }' "$file" >>"$findings"
done
finish
