#!/bin/sh
# Threads, oneDNN, memory and the engine's files each have one door, and the library neither prints nor ends the process.
. "$(dirname "$0")/common.sh"

code=$(mktemp)
trap 'rm -f "$code" "$findings"' EXIT
code $(sources $library cli examples tests include) >"$code"
inside() { grep -E "^($(echo $library | tr ' ' '|')|include)/" "$code"; }
start='(^|[^A-Za-z0-9_])' # of a name

grep -vE '^(core/parallel|tests/core/test_parallel)\.c:' "$code" |
    search '# *pragma +omp +(parallel|for|task|sections|teams)|_Pragma\(' 'an OpenMP region outside core/parallel.c'
inside | search 'reduction *\(' 'an OpenMP reduction: its order depends on the threads'
inside | grep -vE '^core/(parallel\.c|dnn_onednn[a-z0-9_]*\.c):' | search "${start}omp_[a-z_]+ *\(" 'an OpenMP call'
grep -nE '^ *# *include *[<"].*dnnl' $(sources $library include cli examples tests | grep -v '^core/dnn_onednn') |
    search '# *include' 'a oneDNN header outside core/dnn_onednn*'
inside | grep -v '^core/memory\.c:' |
    search "$start(malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|memalign|strdup|strndup|v?asprintf|alloca) *\(" \
        'memory not through core/memory.h'
files='open|openat|creat|fopen|fdopen|freopen|read|readv|pread|write|writev|pwrite|sendfile|copy_file_range|mmap|ftruncate|truncate'
files="$files|fallocate|posix_fallocate|fsync|fdatasync|close|fclose|flock|lockf|fcntl|stat|lstat|fstat|fstatat|statx|access|realpath"
files="$files|link|symlink|rename|renameat|unlink|remove|mkdir|rmdir|chmod|fchmod|mkstemp|opendir|readdir|closedir|scandir"
inside | grep -E '^engine/' | grep -v '^engine/file_system\.c:' |
    search "(^|[^A-Za-z0-9_.>])($files) *\(" 'a file call of the engine not through engine/file_system.h'
inside | grep -vE '^engine/(data/prefetch|checkpoint/series_thread)\.c:' |
    search "${start}(pthread|thrd)_create *\(" 'a thread outside core/parallel.c, engine/data/prefetch.c and engine/checkpoint/series_thread.c'
inside | search "$start(printf|vprintf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort|raise|signal|sigaction) *\(" \
    'the library neither prints, nor ends the process, nor takes signals'
inside | search "${start}stdout([^A-Za-z0-9_]|\$)" 'the library does not write to standard output'
inside | search "$start(exp|exp2|expm1|log|log2|log1p|pow|tanh|erf|sin|cos)f *\(" 'a function of libm in float: its bits follow the CPU'
search '# *if +0' 'code switched off' <"$code"
for file in $(sources $library cli examples tests include); do
    grep -nE '(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)' "$file" | sed "s|^\([0-9]*\):.*|$file:\1: work left to do|" >>"$findings" || true
done
finish
