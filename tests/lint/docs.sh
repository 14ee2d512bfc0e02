#!/bin/sh
# What README and docs/ name exists: public symbols (tread_...), files of the tree (optim/adam.c), and cases of tests
# (optim/clip:values_are_limited), and commands. README and docs/optimizers.md name every registered optimizer and scheduler.
. "$(dirname "$0")/common.sh"

# names PATTERN: each name of that form in the pages as "page name".
names() {
    for page in README.md docs/*.md; do
        grep -oE "$1" "$page" | sort -u | sed "s|^|$page |"
    done
}

public=$(mktemp) private=$(mktemp) quote=$(printf '\140')
trap 'rm -f "$public" "$private" "$findings"' EXIT
declared() { grep -ohE 'tread_[a-z0-9_]*[a-z0-9]' "$@" | sort -u; }
declared include/tread/*.h >"$public"
declared $(sources $library include | grep '\.h$') >"$private"
# What ends in an underscore stands for several. Who changes Tread reads of private names too.
names '(^|[^A-Za-z0-9_/.])tread_[a-z0-9_]+' | sed 's/^\([^ ]*\) .*[^a-z0-9_]\(tread_[a-z0-9_]*\)$/\1 \2/' | sort -u | while read -r page name; do
    symbols=$public
    [ "$page" != docs/contributing.md ] || symbols=$private
    case $name in
    *_) grep -q "^$name" "$symbols" || found "$page: no header declares anything that begins with $name" ;;
    *) grep -qx "$name" "$symbols" || found "$page: no header declares $name" ;;
    esac
done

names "${quote}[a-z./]*[a-z_]+/[A-Za-z0-9_./]+$quote" | tr -d "$quote" | while read -r page name; do
    case $name in
    *NAME* | /* | build/* | ./run) ;;
    */)  [ -d "$name" ] || found "$page: there is no folder $name" ;;
    *.*) [ -f "$name" ] || found "$page: there is no file $name" ;;
    *) [ -e "$name" ] || [ -f "tests/${name%/*}/test_${name##*/}.c" ] || found "$page: there is no file and no test $name" ;;
    esac
done

names "${quote}[a-z]+/[a-z0-9_]+:[a-z0-9_]+$quote" | tr -d "$quote" | while read -r page name; do
    test=${name%:*}
    file=tests/${test%/*}/test_${test##*/}.c
    if [ ! -f "$file" ]; then
        found "$page: $name: there is no $file"
    elif ! grep -q "^START_TEST(${name##*:})" "$file"; then
        found "$page: $name: $file has no such case"
    elif ! grep -q "test_${test##*/}\.c" tests/meson.build; then
        found "$page: $name: tests/meson.build does not run $file"
    fi
done

# Commands: `./run WORD`, benchmarks of ./run bench, and options of programs of tests/bench.
names '\./run [a-z]+' | while read -r page run word; do
    grep -qE "^$word( \||\))" run || found "$page: $run has no $word"
done
names '\./run bench( --json [A-Za-z/]+)?( [a-z][a-z0-9_]*)+' | while read -r page run bench names; do
    for name in ${names#--json * }; do
        case $name in
        compare | instructions | figures) grep -qw "$name" run ;;
        *) [ -f "tests/bench/bench_$name.c" ] ;;
        esac || found "$page: $run $bench has no $name"
    done
done
names '(bench_[a-z0-9_]+|compare_torch\.py)( --[a-z0-9-]+( [A-Za-z0-9,./]+)?)+' | while read -r page program options; do
    for option in $options; do
        case $option in
        --json | --help) ;;
        --*) grep -qE "\"(--)?${option#--}\"" tests/bench/"${program%.py}".* || found "$page: $program has no $option" ;;
        esac
    done
done

for list in optim/optimizers_list.h optim/lr_schedulers_list.h; do
    sed -n 's/^ *X(\([a-z0-9_]*\)).*/\1/p' "$list" | while read -r name; do
        for page in README.md docs/optimizers.md; do
            grep -q "$quote$name$quote" "$page" || found "$page: $name of $list is not there"
        done
    done
done
finish
