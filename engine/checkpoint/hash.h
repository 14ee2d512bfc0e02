/* Layer: engine. Checksums of files: XXH3 with 128 bits and seed 0 (https://xxhash.com), as 32 digits of base 16, small
 * letters, the high half first: what `xxhsum -H2` prints. */
#ifndef TREAD_ENGINE_HASH_H
#define TREAD_ENGINE_HASH_H

#include <stddef.h>
#include <xxhash.h>

#define TREAD_HASH_DIGITS 32

/* The digits and a NUL. */
void tread_hash_text(const void *data, size_t n, char ret_text[TREAD_HASH_DIGITS + 1]);
void tread_hash_to_text(XXH128_hash_t hash, char ret_text[TREAD_HASH_DIGITS + 1]);

#endif
