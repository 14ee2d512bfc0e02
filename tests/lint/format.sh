#!/bin/sh
# Sources are as clang-format 14 writes them. Skipped (77) where that version is not installed: another one writes otherwise.
. "$(dirname "$0")/common.sh"

for tool in clang-format-14 clang-format; do
    case $($tool --version 2>/dev/null) in
    *' version 14.'*)
        $tool --dry-run $(sources $library include cli examples tests) 2>&1 | grep ': warning:' >>"$findings" || true
        finish
        exit
        ;;
    esac
done
echo 'clang-format 14 is not installed'
exit 77
