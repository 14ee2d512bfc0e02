/* Layer: tests. What the fuzz targets share. A target is a file with the two functions below; it runs under libFuzzer
 * (-Dfuzzer=true, with clang), or by driver.c as an ordinary program that changes the seeds at random. */
#ifndef TREAD_TESTS_FUZZ_H
#define TREAD_TESTS_FUZZ_H

#include "tests/engine/arrays.h"

/* Looks at one input; returns 0. A fault is a crash, a sanitizer's finding, or an abort by fuzz_require. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Seed number i, from 0; data is NULL behind the last. */
test_bytes fuzz_seed(int i);

/* A path under which the bytes can be read, until the next call with the same slot (0 or 1). Nothing is written to a
 * disk. */
const char *fuzz_path(int slot, const uint8_t *data, size_t size);

/* What must hold for whatever a reader returns. */
void fuzz_require(bool condition, const char *what);
/* A failing call left a sentence, and nothing else: as many blocks as before. */
uint64_t fuzz_blocks(void);
void fuzz_check(bool failed, uint64_t blocks_before);

#endif
