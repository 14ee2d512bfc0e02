#include <stdlib.h>
#include <string.h>
#include <tread/files.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t blocks = fuzz_blocks();
    const char *path = fuzz_path(0, data, size);
    tread_tensor *tensor = tread_npy_read(path);
    bool failed = tensor == NULL;
    fuzz_require(failed || (uint64_t)tread_tensor_count(tensor) <= (uint64_t)size * 1032, "values come from the file");
    tread_tensor_destroy(tensor);
    fuzz_check(failed, blocks);
    tread_dataset *dataset = tread_npy_load(path, NULL, NULL);
    failed = dataset == NULL;
    fuzz_require(failed || tread_dataset_count(dataset) >= 1, "there are samples");
    tread_dataset_destroy(dataset);
    fuzz_check(failed, blocks);
    return 0;
}

test_bytes fuzz_seed(int i) {
    static const uint8_t values[48] = {0, 0, 0x80, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0x40};
    static const char *const literals[] = {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }",
                                           "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }",
                                           "{'descr': '<i8', 'fortran_order': False, 'shape': (6,), }",
                                           "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3, 2), }",
                                           "{'descr': '|u1', 'fortran_order': False, 'shape': (48,), }",
                                           "{'descr': '|b1', 'fortran_order': False, 'shape': (6, 8), }"};
    int n = (int)(sizeof literals / sizeof *literals);
    return i < n ? test_npy(1 + i % 3, literals[i], values, sizeof values) : (test_bytes){NULL, 0};
}
