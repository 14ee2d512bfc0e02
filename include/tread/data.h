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
#include <tread/tensor.h>

TREAD_BEGIN_DECLS

/* --- Data sets --- */

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

TREAD_API void tread_dataset_destroy(tread_dataset *dataset); /* NULL is accepted */

TREAD_API int64_t tread_dataset_count(const tread_dataset *dataset);    /* samples */
TREAD_API int64_t tread_dataset_features(const tread_dataset *dataset); /* values a sample */
TREAD_API int tread_dataset_classes(const tread_dataset *dataset);      /* 0 where y is not class labels */
/* The inputs and labels or targets as they are stored; owned by the data set. y may be NULL. */
TREAD_API const tread_tensor *tread_dataset_x(const tread_dataset *dataset);
TREAD_API const tread_tensor *tread_dataset_y(const tread_dataset *dataset);

/* Mean and population standard deviation over all values of all samples (bytes divided by 255). TREAD_ERROR_DTYPE: of
 * int32 inputs; TREAD_ERROR_NUMERIC: values not finite. */
TREAD_API tread_status tread_dataset_measure(tread_context *context, const tread_dataset *dataset, double *ret_mean,
                                             double *ret_std);
/* From now on batches give (value - mean) / std, a byte's value being byte / 255. TREAD_ERROR_ARGUMENT: not finite, or
 * std not above 0; TREAD_ERROR_DTYPE: int32 inputs. */
TREAD_API tread_status tread_dataset_normalize(tread_dataset *dataset, double mean, double std);
TREAD_API void tread_dataset_normalization(const tread_dataset *dataset, double *ret_mean,
                                           double *ret_std); /* 0 and 1 at first */

/* --- Batches --- */

typedef struct tread_batches tread_batches;

typedef struct tread_batches_options {
    size_t size;        /* sizeof, set by tread_batches_defaults() */
    int64_t batch_size; /* samples; at least 1 [64] */
    bool shuffle;       /* epoch e goes through a permutation that is a function of (seed, e) alone [true] */
    uint64_t seed;      /* of the permutations [0: the context's] */
    bool drop_last;     /* leave out the last batch where it is short [false] */
    bool keep_shape;    /* x is (n, shape of a sample), not (n, features) [false] */
} tread_batches_options;
TREAD_API tread_batches_options tread_batches_defaults(void);

/* One batch. The tensors belong to the batches object, the same few for its whole life; their contents last until the
 * next call of tread_batches_next. */
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
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_batches *tread_batches_create(tread_context *context, const tread_dataset *dataset,
                                              const tread_batches_options *options);
TREAD_API void tread_batches_destroy(tread_batches *batches); /* NULL is accepted */

/* The next batch of the epoch, or false after its last one; the call after that begins the next epoch. Also false on
 * failure, which a data set in memory cannot have: see tread_batches_status. */
TREAD_API bool tread_batches_next(tread_batches *batches, tread_batch *ret_batch);
TREAD_API tread_status tread_batches_status(const tread_batches *batches);

/* Goes to the start of an epoch, or to any place in one: the next batch will be number index (0 to the count; at the
 * count the next call ends the epoch). TREAD_ERROR_ARGUMENT names what is out of range. */
TREAD_API tread_status tread_batches_start(tread_batches *batches, int64_t epoch);
TREAD_API tread_status tread_batches_seek(tread_batches *batches, int64_t epoch, int64_t index);
/* Where it stands: the epoch, and the index of the batch that comes next. */
TREAD_API void tread_batches_position(const tread_batches *batches, int64_t *ret_epoch, int64_t *ret_index);

TREAD_API int64_t tread_batches_count(const tread_batches *batches);   /* batches an epoch */
TREAD_API int64_t tread_batches_samples(const tread_batches *batches); /* samples an epoch, after drop_last */
TREAD_API int64_t tread_batches_batch_size(const tread_batches *batches);
TREAD_API const tread_dataset *tread_batches_dataset(const tread_batches *batches);

TREAD_END_DECLS

#endif
