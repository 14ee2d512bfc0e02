/* Layer: core. The one place where Tread takes and returns memory.
 *
 * Tests count the calls and make the k-th one fail; nothing else in Tread calls malloc and its kin. */
#ifndef TREAD_CORE_MEMORY_H
#define TREAD_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

#define TREAD_ALIGNMENT 64 /* a cache line and an AVX-512 vector */

/* size bytes, aligned to TREAD_ALIGNMENT, contents undefined; size 0 gives a valid pointer. NULL: out of memory,
 * and tread_last_error() names what (a noun phrase: "activation of linear") and how many bytes. */
void *tread_alloc(size_t size, const char *what);
/* As tread_alloc, for count elements of size bytes, zeroed; a product that overflows fails as out of memory. */
void *tread_calloc(size_t count, size_t size, const char *what);
/* As realloc: grows or shrinks block (NULL: allocates), contents kept; on NULL the old block stays. */
void *tread_realloc(void *block, size_t old_size, size_t new_size, const char *what);
char *tread_strdup(const char *text);
char *tread_strndup(const char *text, size_t length);
void tread_free(void *block); /* NULL is accepted */

/* Test hooks. After tread_memory_fail_at(k) the k-th allocation from now (1 = the next) fails, and those after
 * it succeed again; 0 turns that off. The counts are of the whole process. */
void tread_memory_fail_at(uint64_t k);
bool tread_memory_failed(void); /* whether the planned failure has happened since fail_at */
uint64_t tread_memory_calls(void);
uint64_t tread_memory_live_blocks(void);

#endif
