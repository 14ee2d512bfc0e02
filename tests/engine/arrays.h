/* Layer: tests. NPY files and zip archives, written byte by byte from the formats' descriptions. */
#ifndef TREAD_TESTS_ENGINE_ARRAYS_H
#define TREAD_TESTS_ENGINE_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test_bytes {
    uint8_t *data; /* malloc */
    size_t n;
} test_bytes;

/* Version 1 to 3, the literal as given, filled up with spaces; then n_values bytes. */
test_bytes test_npy(int version, const char *literal, const void *values, size_t n_values);

typedef struct test_entry {
    const char *name;
    test_bytes contents;
    bool deflate;
    bool zip64; /* sizes and place in extra fields, as NumPy may write them */
} test_entry;
/* An archive, which ends in a zip64 end record too where zip64. */
test_bytes test_zip(const test_entry *entries, int n, bool zip64);

#endif
