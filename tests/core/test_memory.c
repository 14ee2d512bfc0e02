#include "core/memory.h"

#include <stdint.h>
#include <string.h>

#include "tests/test.h"

START_TEST(blocks_are_aligned_and_counted) {
    uint64_t calls = tread_memory_calls(), live = tread_memory_live_blocks();
    for (size_t size = 0; size < 300; size += 37) {
        char *block = tread_alloc(size, "a test");
        ck_assert_uint_eq((uintptr_t)block % TREAD_ALIGNMENT, 0);
        memset(block, 1, size);
        ck_assert_uint_eq(tread_memory_live_blocks(), live + 1);
        tread_free(block);
    }
    ck_assert_uint_eq(tread_memory_calls(), calls + 9);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

START_TEST(the_kth_allocation_fails_once) {
    tread_memory_fail_at(2);
    void *first = tread_alloc(10, "a"), *second = tread_alloc(77, "the second thing"), *third = tread_alloc(10, "c");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(third);
    ck_assert(tread_memory_failed());
    ck_assert_str_eq(tread_last_error(), "out of memory: 77 bytes for the second thing");
    tread_free(first);
    tread_free(third);
    tread_memory_fail_at(0);
}
END_TEST

START_TEST(impossible_sizes_fail) {
    ck_assert_ptr_null(tread_alloc(SIZE_MAX, "everything"));
    ck_assert_ptr_null(tread_calloc(SIZE_MAX / 2, 3, "an overflowing product"));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "an overflowing product"));
}
END_TEST

START_TEST(growing_keeps_contents) {
    char *block = tread_alloc(4, "a");
    memcpy(block, "abc", 4);
    tread_memory_fail_at(1);
    ck_assert_ptr_null(tread_realloc(block, 4, 1000, "b"));
    tread_memory_fail_at(0);
    block = tread_realloc(block, 4, 1000, "b");
    ck_assert_str_eq(block, "abc");
    tread_free(block);
}
END_TEST

TEST_MAIN("memory", blocks_are_aligned_and_counted, the_kth_allocation_fails_once, impossible_sizes_fail,
          growing_keeps_contents)
