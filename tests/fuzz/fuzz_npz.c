#include <stdlib.h>
#include <tread/files.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t blocks = fuzz_blocks();
    tread_dataset *dataset = tread_npz_load(fuzz_path(0, data, size), NULL);
    bool failed = dataset == NULL;
    fuzz_require(failed || (uint64_t)tread_tensor_count(tread_dataset_x(dataset)) <= (uint64_t)size * 1032,
                 "values come from the file");
    tread_dataset_destroy(dataset);
    fuzz_check(failed, blocks);
    return 0;
}

/* Stored and deflated, without and with zip64. */
test_bytes fuzz_seed(int i) {
    static const uint8_t x[24], y[3] = {0, 1, 2};
    if (i >= 8)
        return (test_bytes){NULL, 0};
    test_bytes x_file = test_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", x, sizeof x);
    test_bytes y_file = test_npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", y, sizeof y);
    const test_entry entries[] = {{"x.npy", x_file, (i & 1) != 0, (i & 2) != 0},
                                  {"y.npy", y_file, (i & 1) != 0, (i & 2) != 0}};
    test_bytes zip = test_zip(entries, 2, (i & 4) != 0);
    free(x_file.data);
    free(y_file.data);
    return zip;
}
