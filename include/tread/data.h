/* Layer: engine. Data sets, and the batches that training takes from them.
 *
 *     char folder[4096];
 *     tread_data_locate(NULL, folder, sizeof folder);
 *     tread_dataset *train, *test;
 *     tread_mnist_load(NULL, folder, &train, &test);
 *     tread_batches *batches = tread_batches_create(NULL, train, NULL);
 *     tread_batch batch;
 *     for (int epoch = 0; epoch < 3; epoch++)
 *         while (tread_batches_next(batches, &batch))
 *             ...                                        batch.x (n, 784) float32, batch.y (n) int32
 *
 * A data set holds its inputs as they came (bytes stay bytes); they become float32, normalised, when a batch is made,
 * save int32 ones: those are indices, such as the words of a text, and stay what they are.
 * It must outlive its batches. */
#ifndef TREAD_DATA_H
#define TREAD_DATA_H

#include <tread/context.h>
#include <tread/state.h>
#include <tread/tensor.h>

TREAD_BEGIN_DECLS

/* --- Data sets (those of CSV and NumPy files: files.h) --- */

typedef struct tread_dataset tread_dataset;

/* Finds the folder with the MNIST files and writes its path. Where folder is given, it alone is tried; else, where the
 * environment variable TREAD_DATA is set, that alone; else the installed data folder, then TREAD_SOURCE_DATA (which
 * ./run sets). TREAD_ERROR_IO: none of them has the training images; the places tried are listed.
 * TREAD_ERROR_ARGUMENT: the path does not fit. */
TREAD_API tread_status tread_data_locate(const char *folder, char *ret_folder, size_t size);

/* Loads the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
 * t10k-labels-idx1-ubyte from folder, each plain or with .gz behind its name (plain wins). classes: labels must lie in
 * 0..classes-1; 0: one more than the largest label of the training set. Both sets are normalised by the mean and the
 * deviation of the training set. The caller destroys both. Errors: as tread_idx_load; nothing is returned then. */
TREAD_API tread_status tread_mnist_load(tread_context *context, const char *folder, tread_dataset **ret_train,
                                        tread_dataset **ret_test);
TREAD_API tread_status tread_mnist_load_classes(tread_context *context, const char *folder, int classes,
                                                tread_dataset **ret_train, tread_dataset **ret_test);

/* Loads a set of images (IDX of bytes, rank 2 to 6, first axis the samples) and their labels (IDX of bytes, rank 1),
 * each plain or gzip, told by its first bytes. The values are divided by 255 and not normalised further. NULL:
 * TREAD_ERROR_IO (a file cannot be opened or read), TREAD_ERROR_FORMAT (not IDX, of another element type or rank,
 * truncated, longer than its dimensions say, dimensions that overflow or pass TREAD_IDX_MAX_BYTES, damaged gzip data,
 * label out of range, counts that differ; each names file, what was expected and what was found),
 * TREAD_ERROR_MEMORY. */
#define TREAD_IDX_MAX_BYTES ((uint64_t)1 << 36)
TREAD_API tread_dataset *tread_idx_load(tread_context *context, const char *images_path, const char *labels_path,
                                        int classes);

/* A data set over tensors whose memory must outlive it; nothing is copied (rows are axis 0).
 * x: (n, ...) float32, uint8 or int32; y: (n) int32 or uint8 class labels, or (n, ...) float32 targets, or NULL for
 * none. classes: for labels, which must lie in 0..classes-1 (0: one more than the largest); else 0. n is 1 to
 * INT32_MAX. NULL: TREAD_ERROR_ARGUMENT (x NULL, label out of range, named), TREAD_ERROR_SHAPE, TREAD_ERROR_DTYPE,
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_dataset *tread_dataset_from_tensors(const tread_tensor *x, const tread_tensor *y, int classes);

/* The same over the caller's plain arrays: x (n, features); y (n, targets), or labels (n). */
TREAD_API tread_dataset *tread_dataset_from_targets(int64_t n, int64_t features, const float *x, int64_t targets,
                                                    const float *y);
TREAD_API tread_dataset *tread_dataset_from_labels(int64_t n, int64_t features, const float *x, int classes,
                                                   const int32_t *labels);
/* x (n, length) indices, for a model that begins with an embedding. */
TREAD_API tread_dataset *tread_dataset_from_indices(int64_t n, int64_t length, const int32_t *x, int classes,
                                                    const int32_t *labels);

/* The same of bytes, which batches divide by 255. */
TREAD_API tread_dataset *tread_dataset_from_bytes(int64_t n, int64_t features, const uint8_t *x, int classes,
                                                  const int32_t *labels);

/* A data set whose samples come from a function of the caller's whenever a batch needs them: from a disk, a generator,
 * an augmentation. read writes the n samples that rows names, one behind the other: ret_x n samples of x_dtype, ret_y n
 * int32 labels or n targets of float32, NULL without any. It is called by one thread at a time, which with prefetch is
 * not the one that takes the batches. What it gives must be a function of rows alone if a run is to be repeatable. It
 * fails with tread_fail; tread_batches_next then gives false, and tread_batches_status what it returned. */
typedef tread_status (*tread_source_fn)(void *data, const int32_t *rows, int64_t n, void *ret_x, void *ret_y);
typedef struct tread_source {
    size_t size;                     /* sizeof, set by tread_source_defaults() */
    int64_t count;                   /* samples, 1 to INT32_MAX */
    tread_dtype x_dtype;             /* float32, uint8 or int32 [float32] */
    int x_rank;                      /* axes of a sample, 1 to 5 */
    int64_t x_shape[TREAD_MAX_RANK]; /* their extents: x_rank of them */
    int classes;                     /* above 0: y is labels in 0..classes-1, which is checked [0] */
    int y_rank;                      /* without classes: axes of a sample's targets; 0: no targets [0] */
    int64_t y_shape[TREAD_MAX_RANK]; /* y_rank of them */
    tread_source_fn read;
    void *data; /* given to read */
} tread_source;
TREAD_API tread_source tread_source_defaults(void);
/* source is copied. NULL: TREAD_ERROR_ARGUMENT, TREAD_ERROR_SHAPE, TREAD_ERROR_DTYPE, TREAD_ERROR_MEMORY. */
TREAD_API tread_dataset *tread_dataset_from_source(const tread_source *source);

TREAD_API void tread_dataset_destroy(tread_dataset *dataset); /* NULL is accepted */

TREAD_API int64_t tread_dataset_count(const tread_dataset *dataset);    /* samples */
TREAD_API int64_t tread_dataset_features(const tread_dataset *dataset); /* values per sample */
TREAD_API int tread_dataset_classes(const tread_dataset *dataset);      /* 0 where y is not class labels */
TREAD_API int64_t tread_dataset_targets(const tread_dataset *dataset);  /* float32 targets a sample, else 0 */
/* The inputs and labels or targets as they are stored; owned by the data set. y may be NULL; of a source both are. */
TREAD_API const tread_tensor *tread_dataset_x(const tread_dataset *dataset);
TREAD_API const tread_tensor *tread_dataset_y(const tread_dataset *dataset);
/* Which rows of these a subset has: as many as its samples. NULL: all of them, in order. */
TREAD_API const int32_t *tread_dataset_rows(const tread_dataset *dataset);

/* Names, where the file had any, else NULL: of class i, of value i of a sample, of target i. Owned by the data set. */
TREAD_API const char *tread_dataset_class_name(const tread_dataset *dataset, int64_t i);
TREAD_API const char *tread_dataset_feature_name(const tread_dataset *dataset, int64_t i);
TREAD_API const char *tread_dataset_target_name(const tread_dataset *dataset, int64_t i);

/* --- Parts of a data set --- */

/* A data set of n samples of another, rows naming which (copied; any order, repeats are allowed). The samples stay
 * where they are: dataset must outlive it. It begins with the normalisation that dataset has now. NULL:
 * TREAD_ERROR_ARGUMENT (n outside 1..INT32_MAX, a row outside the data set, named), TREAD_ERROR_MEMORY. */
TREAD_API tread_dataset *tread_dataset_subset(const tread_dataset *dataset, const int32_t *rows, int64_t n);

/* Two subsets, disjoint and together the whole: fraction of the samples, rounded, but at least one, are for validation,
 * and at least one is for training. Which is a function of (seed, the number of samples) alone; both keep the order of
 * the data set. stratified: each class gives its share, to the nearest sample, and so (labels too) decide. The caller
 * destroys both, before dataset. TREAD_ERROR_ARGUMENT (fraction not within 0 and 1, one sample alone, stratified
 * without labels in memory), TREAD_ERROR_MEMORY; nothing is returned then. */
TREAD_API tread_status tread_dataset_split(const tread_dataset *dataset, double fraction, uint64_t seed,
                                           tread_dataset **ret_train, tread_dataset **ret_validation);
TREAD_API tread_status tread_dataset_split_stratified(const tread_dataset *dataset, double fraction, uint64_t seed,
                                                      tread_dataset **ret_train, tread_dataset **ret_validation);

/* --- Normalisation --- */

/* Mean and population standard deviation over all values of all samples (bytes divided by 255). TREAD_ERROR_DTYPE: of
 * int32 inputs; TREAD_ERROR_NUMERIC: values not finite. */
TREAD_API tread_status tread_dataset_measure(tread_context *context, const tread_dataset *dataset, double *ret_mean,
                                             double *ret_std);
/* From now on batches give (value - mean) / std, a byte's value being byte / 255. TREAD_ERROR_ARGUMENT: not finite, or
 * std not above 0; TREAD_ERROR_DTYPE: int32 inputs. It takes the place of tread_dataset_standardize's numbers, and
 * these that of its own. */
TREAD_API tread_status tread_dataset_normalize(tread_dataset *dataset, double mean, double std);
TREAD_API void tread_dataset_normalization(const tread_dataset *dataset, double *ret_mean,
                                           double *ret_std); /* 0 and 1 at first */

/* From now on batches give (value - mean) / std with a mean and a population standard deviation for each feature,
 * learned here over the data set's samples (a training part; bytes divided by 255). A feature that is the same in all
 * of them has its value for mean, and std 1. TREAD_ERROR_DTYPE: int32 inputs; TREAD_ERROR_NUMERIC: a feature with
 * values that are not finite, named; TREAD_ERROR_MEMORY; what a source fails with. Nothing has changed then. */
TREAD_API tread_status tread_dataset_standardize(tread_context *context, tread_dataset *dataset);
/* Takes over what another set normalises by, one number for all or one for each feature: for the test set, what was
 * learned on the training set. TREAD_ERROR_SHAPE: their features differ; TREAD_ERROR_DTYPE; TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_dataset_normalize_like(tread_dataset *dataset, const tread_dataset *learned);
/* The means and deviations by feature, tread_dataset_features of each; NULL where there are none. Owned by the set. */
TREAD_API const double *tread_dataset_feature_means(const tread_dataset *dataset);
TREAD_API const double *tread_dataset_feature_stds(const tread_dataset *dataset);

/* What a checkpoint keeps of a data set: how its inputs are normalised, and the names of its features and classes. */
TREAD_API tread_state *tread_dataset_state_dict(const tread_dataset *dataset); /* NULL: TREAD_ERROR_MEMORY */
/* Sets the normalisation. TREAD_ERROR_FORMAT (parts missing or not finite, std not above 0), TREAD_ERROR_SHAPE
 * (features that differ), TREAD_ERROR_ARGUMENT (both know names of features or classes, and they differ),
 * TREAD_ERROR_MEMORY; nothing has changed then. */
TREAD_API tread_status tread_dataset_load_state_dict(tread_dataset *dataset, const tread_state *state);

/* --- Batches --- */

typedef struct tread_batches tread_batches;

typedef struct tread_batches_options {
    size_t size;        /* sizeof, set by tread_batches_defaults() */
    int64_t batch_size; /* samples; at least 1 [64] */
    bool shuffle;       /* epoch e goes through a permutation that is a function of (seed, e) alone [true] */
    uint64_t seed;      /* of the permutations [0: the context's] */
    bool drop_last;     /* leave out the last batch where it is short [false] */
    bool keep_shape;    /* x is (n, shape of a sample), not (n, features) [false] */
    bool prefetch; /* a thread of its own makes the next batch meanwhile, the same to the bit. It pays where a source
                      waits or computes; for a set in memory, waking the thread costs more than it saves [false] */
} tread_batches_options;
TREAD_API tread_batches_options tread_batches_defaults(void);

/* One batch. The tensors belong to the batches object, the same few for its whole life; their contents last until the
 * next call of tread_batches_next. With prefetch the data set's normalisation must not change once the first batch is
 * taken. */
typedef struct tread_batch {
    tread_tensor *x;     /* (n, features) or (n, ...) float32, or int32 where the set's x is */
    tread_tensor *y;     /* (n) int32 labels, (n, ...) float32 targets, or NULL */
    int64_t count;       /* n */
    int64_t index;       /* of the batch in its epoch, from 0 */
    int64_t epoch;       /* from 0 */
    const int32_t *rows; /* which samples of the data set: count of them */
} tread_batch;

/* options may be NULL. Everything is allocated here; going through batches allocates nothing. It stands at the start of
 * epoch 0. NULL: TREAD_ERROR_ARGUMENT (data set NULL, batch_size < 1, drop_last with fewer samples than a batch),
 * TREAD_ERROR_MEMORY, TREAD_ERROR_IO (the system refuses the thread of prefetch). */
TREAD_API tread_batches *tread_batches_create(tread_context *context, const tread_dataset *dataset,
                                              const tread_batches_options *options);
TREAD_API void tread_batches_destroy(tread_batches *batches); /* NULL is accepted */

/* The next batch of the epoch, or false after its last one; the call after that begins the next epoch. Also false on
 * failure, which a data set in memory cannot have: see tread_batches_status, which is TREAD_OK at the end of an epoch.
 * After a failure the place is that of the batch that failed, and the next call tries it again. */
TREAD_API bool tread_batches_next(tread_batches *batches, tread_batch *ret_batch);
TREAD_API tread_status tread_batches_status(const tread_batches *batches); /* of the last call of next */

/* Goes to the start of an epoch, or to any place in one: the next batch will be number index (0 to the count; at the
 * count the next call ends the epoch). TREAD_ERROR_ARGUMENT names what is out of range. */
TREAD_API tread_status tread_batches_start(tread_batches *batches, int64_t epoch);
TREAD_API tread_status tread_batches_seek(tread_batches *batches, int64_t epoch, int64_t index);
/* Where it stands: the epoch, and the index of the batch that comes next. */
TREAD_API void tread_batches_position(const tread_batches *batches, int64_t *ret_epoch, int64_t *ret_index);

TREAD_API int64_t tread_batches_count(const tread_batches *batches);   /* batches an epoch */
TREAD_API int64_t tread_batches_samples(const tread_batches *batches); /* samples per epoch, after drop_last */
TREAD_API int64_t tread_batches_batch_size(const tread_batches *batches);
TREAD_API const tread_dataset *tread_batches_dataset(const tread_batches *batches);

TREAD_END_DECLS

#endif
