#include "engine/checkpoint/hash.h"

#include <stdio.h>

void tread_hash_to_text(XXH128_hash_t hash, char ret_text[TREAD_HASH_DIGITS + 1]) {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes.digest[i]);
}

void tread_hash_text(const void *data, size_t n, char ret_text[TREAD_HASH_DIGITS + 1]) {
    tread_hash_to_text(XXH3_128bits(data, n), ret_text);
}
