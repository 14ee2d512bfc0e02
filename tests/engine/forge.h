/* Layer: tests. Files in the safetensors format made from text, true or lying. */
#ifndef TREAD_TESTS_ENGINE_FORGE_H
#define TREAD_TESTS_ENGINE_FORGE_H

#include <stddef.h>
#include <stdint.h>

/* Writes length, header, and n bytes of data (NULL: zeros). */
void forge_plain(const char *path, const char *header, const void *data, size_t n);

/* A file with Tread's mark and a right hash of the header: `tree` is the text of the metadata "tread" (quotes are
 * escaped here; NULL: there is none), entries what follows the metadata in the header, such as
 * ,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}. "$HASH" in tree stands for the hash of all the data. */
void forge_marked(const char *path, const char *tree, const char *entries, const void *data, size_t n);

#endif
