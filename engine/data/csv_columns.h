/* Layer: engine. What each column of a CSV file is. */
#ifndef TREAD_ENGINE_CSV_COLUMNS_H
#define TREAD_ENGINE_CSV_COLUMNS_H

#include <stdint.h>
#include <tread/files.h>

#include "engine/data/schema.h"

typedef struct tread_csv_columns {
    /* By column: which feature it is (0, 1, ...), which target (TREAD_CSV_TARGET + 0, 1, ...), or TREAD_CSV_DROP. */
    int64_t *roles;
    int64_t count, features, targets;
} tread_csv_columns;

#define TREAD_CSV_DROP ((int64_t)-1)
#define TREAD_CSV_TARGET ((int64_t)1 << 32)

/* count columns, header their names (or no names). name: the file's, for sentences. Destroy is to be called also after
 * a failure. TREAD_ERROR_ARGUMENT, TREAD_ERROR_FORMAT, TREAD_ERROR_MEMORY. */
tread_status tread_csv_columns_create(const tread_csv_options *options, const char *name, int64_t count,
                                      const tread_names *header, tread_csv_columns *ret_columns);
void tread_csv_columns_destroy(tread_csv_columns *columns);

#endif
