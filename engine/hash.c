#include "engine/hash.h"

#include <stdio.h>
#include <xxhash.h>

void tread_hash_text(const void *data, size_t n, char ret_text[TREAD_HASH_DIGITS + 1]) {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits(data, n));
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes.digest[i]);
}
