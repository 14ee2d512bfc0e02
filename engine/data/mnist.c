#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/data/dataset.h"
#include "engine/data/idx.h"
#include "engine/file_system.h"

/* Files of a load: images and labels of one set, or of two. */
enum { IMAGES, LABELS, FILES_OF_SET };

static tread_status check_labels(const tread_idx *labels, int classes, int *ret_classes) {
    int largest = 0;
    for (uint64_t i = 0; i < labels->bytes; i++)
        largest = labels->data[i] > largest ? labels->data[i] : largest;
    *ret_classes = classes > 0 ? classes : largest + 1;
    if (largest < *ret_classes)
        return TREAD_OK;
    uint64_t i = 0;
    while (labels->data[i] < *ret_classes)
        i++;
    return tread_fail(TREAD_ERROR_FORMAT, "%s: label %d of sample %llu, expected 0 to %d", labels->path,
                      labels->data[i], (unsigned long long)i, *ret_classes - 1);
}

static tread_status open_set(tread_idx *files, const char *images_path, const char *labels_path) {
    TREAD_TRY(tread_idx_open(&files[IMAGES], images_path, "images", 2, TREAD_MAX_RANK));
    TREAD_TRY(tread_idx_open(&files[LABELS], labels_path, "labels", 1, 1));
    if (files[IMAGES].shape[0] != files[LABELS].shape[0])
        return tread_fail(TREAD_ERROR_FORMAT, "%s has %lld images, and %s has %lld labels", files[IMAGES].path,
                          (long long)files[IMAGES].shape[0], files[LABELS].path, (long long)files[LABELS].shape[0]);
    return TREAD_OK;
}

/* Takes the data of both files on success. */
static tread_status make_set(tread_idx *files, int classes, tread_dataset **ret_dataset) {
    const tread_idx *images = &files[IMAGES], *labels = &files[LABELS];
    tread_tensor *x = tread_tensor_wrap(TREAD_UINT8, images->rank, images->shape, images->data);
    tread_tensor *y = x == NULL ? NULL : tread_tensor_wrap(TREAD_UINT8, 1, labels->shape, labels->data);
    tread_status status =
        y == NULL ? TREAD_ERROR_MEMORY : tread_dataset_create(x, y, classes, images->data, labels->data, ret_dataset);
    if (status == TREAD_OK)
        files[IMAGES].data = files[LABELS].data = NULL;
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    return status;
}

static tread_status load_one(tread_context *context, tread_idx *files, const char *images_path, const char *labels_path,
                             int classes, tread_dataset **ret_dataset) {
    TREAD_TRY(open_set(files, images_path, labels_path));
    TREAD_TRY(tread_idx_read(context, files, FILES_OF_SET));
    TREAD_TRY(check_labels(&files[LABELS], classes, &classes));
    return make_set(files, classes, ret_dataset);
}

static tread_idx *create_files(int n) { return tread_calloc((size_t)n, sizeof(tread_idx), "open files"); }

static void destroy_files(tread_idx *files, int n) {
    for (int i = 0; i < n; i++)
        tread_idx_close(&files[i]);
    tread_free(files);
}

static tread_status check_classes(int classes) {
    if (classes < 0 || classes > 256)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data: classes = %d is outside 0..256", classes);
    return TREAD_OK;
}

tread_dataset *tread_idx_load(tread_context *context, const char *images_path, const char *labels_path, int classes) {
    if (check_classes(classes) != TREAD_OK)
        return NULL;
    tread_idx *files = create_files(FILES_OF_SET);
    if (files == NULL)
        return NULL;
    tread_dataset *dataset = NULL;
    tread_status status = load_one(context, files, images_path, labels_path, classes, &dataset);
    destroy_files(files, FILES_OF_SET);
    return status == TREAD_OK ? dataset : NULL;
}

/* folder/name, or folder/name.gz where only that is there. */
static tread_status choose(const char *folder, const char *name, char *ret_path, size_t size) {
    for (int gzip = 0; gzip < 2; gzip++) {
        int length = snprintf(ret_path, size, "%s/%s%s", folder, name, gzip ? ".gz" : "");
        if (length < 0 || (size_t)length >= size)
            return tread_fail(TREAD_ERROR_ARGUMENT, "data: the path of folder %s is too long", folder);
        if (tread_fs_access(ret_path, F_OK) == 0)
            return TREAD_OK;
        if (errno != ENOENT && errno != ENOTDIR)
            return tread_fail(TREAD_ERROR_IO, "%s: %s", ret_path, strerror(errno));
    }
    return tread_fail(TREAD_ERROR_IO, "neither %s/%s nor %s/%s.gz exists", folder, name, folder, name);
}

static tread_status open_part(tread_idx *files, const char *folder, const char *part) {
    char name[64], images[4096], labels[4096];
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", part);
    TREAD_TRY(choose(folder, name, images, sizeof images));
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part);
    TREAD_TRY(choose(folder, name, labels, sizeof labels));
    return open_set(files, images, labels);
}

static tread_status check_same_images(const tread_idx *train, const tread_idx *test) {
    if (train->rank == test->rank &&
        memcmp(train->shape + 1, test->shape + 1, sizeof(int64_t) * (size_t)(train->rank - 1)) == 0)
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_FORMAT, "%s: images of %llu bytes, and in %s of %llu, or of another shape",
                      test->path, (unsigned long long)test->bytes / (unsigned long long)test->shape[0], train->path,
                      (unsigned long long)train->bytes / (unsigned long long)train->shape[0]);
}

static tread_status normalize_both(tread_context *context, tread_dataset *train, tread_dataset *test) {
    double mean, std;
    TREAD_TRY(tread_dataset_measure(context, train, &mean, &std));
    if (std <= 0) /* every byte alike: shifting is all there is */
        std = 1;
    TREAD_TRY(tread_dataset_normalize(train, mean, std));
    return tread_dataset_normalize(test, mean, std);
}

static tread_status load_both(tread_context *context, tread_idx *files, const char *folder, int classes,
                              tread_dataset **sets) {
    tread_idx *test = files + FILES_OF_SET;
    TREAD_TRY(open_part(files, folder, "train"));
    TREAD_TRY(open_part(test, folder, "t10k"));
    TREAD_TRY(check_same_images(&files[IMAGES], &test[IMAGES]));
    TREAD_TRY(tread_idx_read(context, files, 2 * FILES_OF_SET));
    TREAD_TRY(check_labels(&files[LABELS], classes, &classes));
    TREAD_TRY(check_labels(&test[LABELS], classes, &classes));
    TREAD_TRY(make_set(files, classes, &sets[0]));
    TREAD_TRY(make_set(test, classes, &sets[1]));
    return normalize_both(context, sets[0], sets[1]);
}

tread_status tread_mnist_load_classes(tread_context *context, const char *folder, int classes,
                                      tread_dataset **ret_train, tread_dataset **ret_test) {
    tread_dataset *sets[2] = {NULL, NULL};
    TREAD_TRY(check_classes(classes));
    tread_idx *files = create_files(2 * FILES_OF_SET);
    if (files == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = load_both(context, files, folder, classes, sets);
    destroy_files(files, 2 * FILES_OF_SET);
    if (status != TREAD_OK) {
        tread_dataset_destroy(sets[0]);
        tread_dataset_destroy(sets[1]);
        return status;
    }
    *ret_train = sets[0];
    *ret_test = sets[1];
    return TREAD_OK;
}

tread_status tread_mnist_load(tread_context *context, const char *folder, tread_dataset **ret_train,
                              tread_dataset **ret_test) {
    return tread_mnist_load_classes(context, folder, 0, ret_train, ret_test);
}
