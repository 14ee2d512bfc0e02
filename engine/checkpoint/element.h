/* Layer: engine. The element types of the safetensors format, and elements as numbers. */
#ifndef TREAD_ENGINE_ELEMENT_H
#define TREAD_ENGINE_ELEMENT_H

#include <stddef.h>

typedef struct tread_element_type {
    const char *name;                     /* "F32" */
    int dtype;                            /* a tread_dtype, or -1 where Tread's tensors have none like it */
    size_t size;                          /* bytes */
    double (*value)(const void *element); /* exact but for 64-bit integers past 2^53; element need not be aligned */
} tread_element_type;

const tread_element_type *tread_element_type_find(const char *name); /* NULL: unknown */
const tread_element_type *tread_element_type_of(int dtype);          /* of a tread_dtype */

/* Text that no element of other bits has; returns buffer. */
#define TREAD_ELEMENT_TEXT 80
char *tread_element_text(char *buffer, const tread_element_type *type, const void *element);

#endif
