#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tread/files.h>

#include "tests/fuzz/fuzz.h"

/* The first byte is the options, the rest the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char delimiters[] = {',', ';', '\t', ' '};
    if (size == 0)
        return 0;
    tread_csv_options options = tread_csv_defaults();
    options.delimiter = delimiters[data[0] & 3];
    options.header = (tread_csv_header)((data[0] >> 2) % 3);
    options.task = (tread_task)((data[0] >> 4) & 3);
    options.missing = (tread_missing)((data[0] >> 6) % 3);
    uint64_t blocks = fuzz_blocks();
    const char *path = fuzz_path(0, data + 1, size - 1);
    tread_dataset *dataset = tread_csv_load(path, &options), *again = NULL;
    if (dataset != NULL) {
        const tread_tensor *x = tread_dataset_x(dataset);
        fuzz_require((uint64_t)tread_tensor_count(x) <= 4 * (uint64_t)size * 1032, "values come from the file");
        for (int64_t i = 0; i < tread_tensor_count(x); i++)
            fuzz_require(isfinite(tread_tensor_float(x)[i]), "values are finite");
        options.like = dataset; /* a file is like itself */
        options.task = TREAD_TASK_AUTO;
        again = tread_csv_load(path, &options);
        fuzz_require(again != NULL && tread_dataset_count(again) == tread_dataset_count(dataset), "like itself");
        fuzz_require(memcmp(tread_tensor_data(tread_dataset_x(again)), tread_tensor_data(x),
                            (size_t)tread_tensor_count(x) * sizeof(float)) == 0,
                     "the same values");
    }
    tread_dataset_destroy(again);
    bool failed = dataset == NULL;
    tread_dataset_destroy(dataset);
    fuzz_check(failed, blocks);
    return 0;
}

test_bytes fuzz_seed(int i) {
    static const char *const seeds[] = {
        "\x10"
        "a,b,c\n1,2,x\n3,4,y\n",
        "\x10"
        "\"a\",\"b\"\"\",\"c\nd\"\r\n1.5,-2e-3,\"x, \"\"y\"\"\"\r\n.5,7.,z\r\n\r\n",
        "\x20"
        "1,2,3\n4,5,6\n7,8,9",
        "\x70"
        "a,b\n1,\n?,2\nNA,3\n",
        "\xa1"
        "\xef\xbb\xbf"
        "one;two\n12345678901234567890123,1e308\n1e-320;0.1\n",
        "\x30"
        "1\n2\n3\n",
        "\x92"
        "1\t2\n3\t4\n",
    };
    if (i >= (int)(sizeof seeds / sizeof *seeds))
        return (test_bytes){NULL, 0};
    test_bytes bytes = {malloc(strlen(seeds[i])), strlen(seeds[i])};
    memcpy(bytes.data, seeds[i], bytes.n);
    return bytes;
}
