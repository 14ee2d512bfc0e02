#!/bin/sh
# Threads, oneDNN and memory each have one door, and the library neither prints nor ends the process.
. "$(dirname "$0")/common.sh"

all=$(sources $library cli examples tests include)
inside=$(sources $library include)
except() { printf '%s\n' "$inside" | grep -vE "$1"; }

search '# *pragma +omp +(parallel|for|task|sections|teams)|_Pragma\("?omp' 'an OpenMP region outside core/parallel.c' \
    $(printf '%s\n' "$all" | grep -vE '^(core/parallel|tests/core/test_parallel)\.c$')
search 'reduction *\(' 'an OpenMP reduction: its order depends on the threads' $inside
search '(^|[^a-z_])omp_[a-z_]+ *\(' 'an OpenMP call' $(except '^core/(parallel\.c|dnn_onednn)')
for file in $(printf '%s\n' "$all" | grep -vE '^core/dnn_onednn'); do
    grep -nE '^ *# *include *[<"].*dnnl' "$file" | sed "s|^\([0-9]*\):.*|$file:\1: a oneDNN header outside core/dnn_onednn*|" >>"$findings" || true
done
search '(^|[^A-Za-z0-9_])(malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|memalign|strdup|strndup|asprintf|vasprintf|alloca) *\(' \
    'memory not through core/memory.h' $(except '^core/memory\.c$')
search '(^|[^A-Za-z0-9_])(printf|vprintf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort|raise|signal|sigaction|atexit) *\(' \
    'the library neither prints, nor ends the process, nor takes signals' $inside
search '(^|[^A-Za-z0-9_])stdout([^A-Za-z0-9_]|$)' 'the library does not write to standard output' $inside
search '(^|[^A-Za-z0-9_])(exp|exp2|expm1|log|log2|log1p|pow|tanh|erf|sin|cos)f *\(' 'a function of libm in float: its bits follow the CPU' $inside
search '# *if +0' 'code switched off' $all
for file in $all; do
    grep -nE '(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)' "$file" | sed "s|^\([0-9]*\):.*|$file:\1: work left to do|" >>"$findings" || true
done
finish
