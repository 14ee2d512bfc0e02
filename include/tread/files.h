/* Layer: engine. Data sets from tables (CSV) and from NumPy's arrays (NPY, NPZ), and arrays to such files.
 *
 *     tread_csv_options o = tread_csv_defaults();
 *     o.target = "species";
 *     tread_dataset *train = tread_csv_load("train.csv", &o);
 *     o.like = train;                                    the same columns and classes
 *     tread_dataset *test = tread_csv_load("test.csv", &o);
 *
 * Files may be compressed with gzip, which their first bytes tell (NPZ compresses by itself). Every size that a file
 * claims is checked against what it can hold before memory is taken. */
#ifndef TREAD_FILES_H
#define TREAD_FILES_H

#include <tread/data.h>

TREAD_BEGIN_DECLS

/* What y is to be. */
typedef enum tread_task {
    TREAD_TASK_AUTO = 0,       /* NPY and NPZ: floats are targets, integers labels; CSV: labels */
    TREAD_TASK_CLASSIFICATION, /* int32 labels */
    TREAD_TASK_REGRESSION,     /* float32 targets (n, targets) */
    TREAD_TASK_NONE,           /* no y: every column, or array, is input */
} tread_task;

/* --- CSV --- */

/* RFC 4180: fields with delimiters between, records ended by LF or CRLF (the last one may lack it), fields with
 * delimiters, line ends or quotes in quotes, a quote in them doubled. Beyond it: a byte order mark of UTF-8 is skipped,
 * blank lines at the end too, and spaces round numbers. Features and targets are decimal numbers, in the same notation
 * whatever the locale, rounded to float32. Labels are any text in UTF-8; which become which classes: see
 * tread_csv_load. */

typedef enum tread_csv_header {
    TREAD_CSV_HEADER_AUTO = 0, /* the first record is one where none of its fields is a number */
    TREAD_CSV_HEADER_YES,
    TREAD_CSV_HEADER_NO,
} tread_csv_header;

/* A value is missing where a number should be and the field is empty, NA or ?. */
typedef enum tread_missing {
    TREAD_MISSING_ERROR = 0,
    TREAD_MISSING_SKIP, /* leave out the sample */
    TREAD_MISSING_FILL, /* missing_value stands in for a feature; a missing target leaves out the sample */
} tread_missing;

typedef struct tread_csv_options {
    size_t size;             /* sizeof, set by tread_csv_defaults() */
    char delimiter;          /* [','] */
    tread_csv_header header; /* [TREAD_CSV_HEADER_AUTO] */
    /* Columns by name or by number: from 1 on, as in error sentences, -1 being the last. Several have commas between,
     * in the notation of a record of CSV. A name goes before a number. */
    const char *target; /* of labels, or of one or more targets [the last column] */
    const char *drop;   /* left out [none] */
    tread_task task;    /* [TREAD_TASK_AUTO] */
    tread_missing missing;
    double missing_value;
    bool allow_not_finite; /* take nan, inf and numbers beyond float32, instead of refusing them [false] */
    /* A data set that a CSV file gave: task, columns and classes are to be its own, and target and drop must be NULL.
     * Where both files have a header, columns are found by name, in any order, and others are left out; else there must
     * be as many. With TREAD_TASK_NONE its targets may be absent, and are left out. [NULL] */
    const tread_dataset *like;
} tread_csv_options;
TREAD_API tread_csv_options tread_csv_defaults(void);

/* Loads a table: x (n, features) float32; y (n) int32 labels, (n, targets) float32, or none. Class k is the k-th of the
 * different labels, in numeric order if all are integers, else in byte order; tread_dataset_class_name has their texts.
 * Memory is that of the values, and up to three times as much while reading. options may be NULL. NULL: TREAD_ERROR_IO,
 * TREAD_ERROR_FORMAT (file, line and column, counted from 1, what was expected and the text that was found: a line ends
 * at each line feed, also at one in quotes), TREAD_ERROR_ARGUMENT (options, a column that does not exist),
 * TREAD_ERROR_MEMORY. */
#define TREAD_CSV_MAX_FIELD ((size_t)1 << 20)  /* bytes */
#define TREAD_CSV_MAX_RECORD ((size_t)1 << 26) /* of the first one, bytes */
#define TREAD_CSV_MAX_COLUMNS ((int64_t)1 << 20)
#define TREAD_CSV_MAX_CLASSES ((int64_t)1 << 16)
#define TREAD_CSV_MAX_BYTES ((uint64_t)1 << 36) /* of x, and of y */
TREAD_API tread_dataset *tread_csv_load(const char *path, const tread_csv_options *options);

/* Writes x, (n) or (n, columns) of any type, one row per line, with the fewest digits that give the same value again
 * (at most 9 for float32 and 17 for float64); names: one for each column, quoted where need be, or NULL for no header.
 * The file appears whole or not at all. TREAD_ERROR_IO, TREAD_ERROR_SHAPE, TREAD_ERROR_ARGUMENT. */
TREAD_API tread_status tread_csv_save(const char *path, const tread_tensor *x, const char *const *names);

/* --- NPY and NPZ --- */

/* NumPy's format of one array, versions 1 to 3
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): float32, float64, int32, int64, uint8 and
 * bool, with the small end first; Fortran order becomes C order. NPZ is a zip archive of such files, stored or
 * deflated, also zip64. */

typedef struct tread_npy_options {
    size_t size;           /* sizeof, set by tread_npy_defaults() */
    tread_task task;       /* [TREAD_TASK_AUTO] */
    int classes;           /* labels lie in 0..classes-1 [0: one more than the largest] */
    bool indices;          /* x is indices: integers stay int32, for a model that begins with an embedding [false] */
    bool allow_not_finite; /* as in tread_csv_options [false] */
    const char *x, *y;     /* NPZ: names of the arrays ["x", "y"] */
} tread_npy_options;
TREAD_API tread_npy_options tread_npy_defaults(void);

/* Loads x (n, ...) and y. x: uint8 stays as it is, and is divided by 255 in batches; int32 and int64 become float32,
 * but for indices; floats and bools become float32. y: labels (n), integers of any type, or floats that are whole
 * numbers; targets (n) or (n, ...) of any type, float32 here, (n) as (n, 1). y_path NULL: no y. options may be NULL.
 * NULL: TREAD_ERROR_IO, TREAD_ERROR_FORMAT (damaged, truncated or too long, not of these types, a value that does not
 * fit, each with its file), TREAD_ERROR_SHAPE, TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
#define TREAD_NPY_MAX_BYTES ((uint64_t)1 << 36)
TREAD_API tread_dataset *tread_npy_load(const char *x_path, const char *y_path, const tread_npy_options *options);
/* The same from an archive; with TREAD_TASK_NONE, y is not looked for. Where an array is absent, those that are there
 * are named. */
TREAD_API tread_dataset *tread_npz_load(const char *path, const tread_npy_options *options);

/* One array as it is (int64 as int32, where it fits; bool as uint8): a tensor that the caller destroys. NULL: as above.
 */
TREAD_API tread_tensor *tread_npy_read(const char *path);
/* Writes x as version 1, in C order. The file appears whole or not at all. TREAD_ERROR_IO, TREAD_ERROR_ARGUMENT. */
TREAD_API tread_status tread_npy_save(const char *path, const tread_tensor *x);

TREAD_END_DECLS

#endif
