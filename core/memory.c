#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/status.h"

#define HUGE_PAGE ((size_t)1 << 21)
#define LARGE_BLOCK (4 * HUGE_PAGE)

static atomic_uint_fast64_t calls;
static atomic_int_fast64_t live_blocks;
static atomic_uint_fast64_t countdown; /* 0: no failure planned */
static atomic_bool failed;

static bool fails_now(void) {
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&countdown, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&countdown, &left, left - 1)) {
            if (left == 1)
                atomic_store(&failed, true);
            return left == 1;
        }
    return false;
}

/* Large blocks ask for huge pages: first touching 48 MiB takes 44 ms in small pages on a virtual machine, and 10 in
 * huge ones. The last partial huge page stays small, so that no memory is taken that was not asked for. */
static void *allocate_large(size_t size) {
    void *block;
    if (posix_memalign(&block, HUGE_PAGE, size) != 0)
        return NULL;
    madvise(block, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* advice: what it returns does not matter */
    return block;
}

static void *allocate(size_t size) {
    if (size >= LARGE_BLOCK)
        return allocate_large(size);
    size_t rounded = (size + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
    return aligned_alloc(TREAD_ALIGNMENT, rounded > 0 ? rounded : TREAD_ALIGNMENT);
}

void *tread_alloc(size_t size, const char *what) {
    void *block = NULL;
    if (size <= PTRDIFF_MAX - HUGE_PAGE && !fails_now())
        block = allocate(size);
    if (block == NULL)
        return tread_fail_null(TREAD_ERROR_MEMORY, "out of memory: %zu bytes for %s", size, what);
    atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return block;
}

void *tread_calloc(size_t count, size_t size, const char *what) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return tread_fail_null(TREAD_ERROR_MEMORY, "out of memory: %zu times %zu bytes for %s", count, size, what);
    void *block = tread_alloc(bytes, what);
    return block == NULL ? NULL : memset(block, 0, bytes);
}

void *tread_realloc(void *block, size_t old_size, size_t new_size, const char *what) {
    void *grown = tread_alloc(new_size, what);
    if (grown != NULL && block != NULL) {
        memcpy(grown, block, old_size < new_size ? old_size : new_size);
        tread_free(block);
    }
    return grown;
}

char *tread_strndup(const char *text, size_t length) {
    char *copy = tread_alloc(length + 1, "a string");
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *tread_strdup(const char *text) { return tread_strndup(text, strlen(text)); }

void tread_free(void *block) {
    if (block != NULL)
        atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(block);
}

void tread_memory_fail_at(uint64_t k) {
    atomic_store(&failed, false);
    atomic_store(&countdown, k);
}

bool tread_memory_failed(void) { return atomic_load(&failed); }
uint64_t tread_memory_calls(void) { return atomic_load_explicit(&calls, memory_order_relaxed); }
uint64_t tread_memory_live_blocks(void) { return (uint64_t)atomic_load_explicit(&live_blocks, memory_order_relaxed); }
