#include <stdlib.h>
#include <string.h>
#include <tread/data.h>

#include "tests/fuzz/fuzz.h"

/* One byte says how long the labels' file is, which follows; the rest is the images' file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size - 1 < data[0])
        return 0;
    uint64_t blocks = fuzz_blocks();
    const char *labels = fuzz_path(0, data + 1, data[0]);
    const char *images = fuzz_path(1, data + 1 + data[0], size - 1 - data[0]);
    tread_dataset *dataset = tread_idx_load(NULL, images, labels, 0);
    bool failed = dataset == NULL;
    fuzz_require(failed || (uint64_t)tread_tensor_count(tread_dataset_x(dataset)) <= (uint64_t)size * 1032,
                 "values come from the file");
    tread_dataset_destroy(dataset);
    fuzz_check(failed, blocks);
    return 0;
}

test_bytes fuzz_seed(int i) {
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 1};
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 4, 0, 0,  0,  2,  0,  0,  0,  2,
                                     1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const uint8_t table[] = {0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 1, 9, 8, 7, 6};
    if (i >= 2)
        return (test_bytes){NULL, 0};
    size_t n = i == 0 ? sizeof images : sizeof table;
    test_bytes bytes = {malloc(1 + sizeof labels + n), 1 + sizeof labels + n};
    bytes.data[0] = sizeof labels;
    memcpy(bytes.data + 1, labels, sizeof labels);
    memcpy(bytes.data + 1 + sizeof labels, i == 0 ? images : table, n);
    return bytes;
}
