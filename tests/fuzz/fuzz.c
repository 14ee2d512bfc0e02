#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <tread/status.h>
#include <unistd.h>

#include "core/memory.h"

/* A reader of a file of some kilobytes has no reason to ask for more: the sanitizer ends the program then. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "max_allocation_size_mb=64"; }

void fuzz_require(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "does not hold: %s (last error: %s)\n", what, tread_last_error());
        abort();
    }
}

const char *fuzz_path(int slot, const uint8_t *data, size_t size) {
    static int files[2] = {-1, -1};
    static char paths[2][64];
    if (files[slot] < 0) {
        files[slot] = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_require(files[slot] >= 0, "memfd_create");
        snprintf(paths[slot], sizeof paths[slot], "/proc/self/fd/%d", files[slot]);
    }
    fuzz_require(ftruncate(files[slot], 0) == 0 && pwrite(files[slot], data, size, 0) == (ssize_t)size, "pwrite");
    return paths[slot];
}

uint64_t fuzz_blocks(void) { return tread_memory_live_blocks(); }

void fuzz_check(bool failed, uint64_t blocks_before) {
    fuzz_require(tread_memory_live_blocks() == blocks_before, "no memory is lost");
    fuzz_require(!failed || tread_last_error()[0] != '\0', "a failure has a sentence");
}
