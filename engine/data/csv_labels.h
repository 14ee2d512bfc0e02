/* Layer: engine. The different labels of a column, and which class each is. */
#ifndef TREAD_ENGINE_CSV_LABELS_H
#define TREAD_ENGINE_CSV_LABELS_H

#include "engine/data/schema.h"

typedef struct tread_csv_labels {
    tread_names names; /* in the order they were met, or the order of classes where these are known */
    int32_t *table;    /* open addressing: index of a name, or -1 */
    int64_t capacity;  /* of the table, a power of 2 */
} tread_csv_labels;

/* The number of the label, which is added where it is new. TREAD_ERROR_MEMORY. */
tread_status tread_csv_labels_number(tread_csv_labels *labels, const char *text, size_t length, int32_t *ret_number);
/* The same, or -1 where it is not there. */
int32_t tread_csv_labels_find(const tread_csv_labels *labels, const char *text, size_t length);
/* Puts the names into the order of classes, and the n numbers with them: ret_numbers[i] becomes the class of what it
 * was the number of. TREAD_ERROR_MEMORY. The table is not to be used any more. */
tread_status tread_csv_labels_sort(tread_csv_labels *labels, int32_t *numbers, int64_t n);
void tread_csv_labels_destroy(tread_csv_labels *labels);

#endif
