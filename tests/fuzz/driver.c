/* Runs a fuzz target without libFuzzer: fuzz_NAME [runs [seed]] gives it that many inputs, the seeds first and then
 * changed ones, the same on every machine; fuzz_NAME --write FOLDER writes the seeds as files, for libFuzzer;
 * fuzz_NAME --run FILE... gives it those files. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/fuzz/fuzz.h"

#define MAX_SEEDS 32
#define MAX_SIZE ((size_t)1 << 16)

static test_bytes seeds[MAX_SEEDS];
static int n_seeds;
static uint64_t state;

static uint64_t draw(uint64_t below) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717u >> 11) % below;
}

static size_t insert(uint8_t *data, size_t size, size_t at, const uint8_t *what, size_t n) {
    if (size + n > MAX_SIZE)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, what, n);
    return size + n;
}

/* One change, of those that find faults in readers: bits, numbers at their limits, parts gone, doubled or exchanged,
 * characters that mean something. */
static size_t change(uint8_t *data, size_t size) {
    static const uint64_t limits[] = {0,      1,          0x7f,       0x80,       0xff,      0x7fff,
                                      0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX};
    static const char *const texts[] = {",", "\"", "\"\"", "\n",         "\r\n", "\r", "1",
                                        "-", ".",  "e9",   "nan",        "(",    ")",  "}",
                                        "'", ":",  "True", "9999999999", "\t",   ";",  "PK\1\2"};
    size_t at = size > 0 ? draw(size) : 0, n = size > at ? 1 + draw(size - at < 32 ? size - at : 32) : 0;
    uint8_t copy[64];
    switch (draw(8)) {
    case 0:
        if (size > 0)
            data[at] ^= (uint8_t)(1 << draw(8));
        return size;
    case 1:
        if (size > 0)
            data[at] = (uint8_t)draw(256);
        return size;
    case 2:
        for (uint64_t i = 0, value = limits[draw(12)], width = 1u << draw(4); i < width && at + i < size; i++)
            data[at + i] = (uint8_t)(value >> (8 * i));
        return size;
    case 3: /* the end is lost */ return draw(4) == 0 ? at : size;
    case 4: /* a part is lost */ memmove(data + at, data + at + n, size - at - n); return size - n;
    case 5: /* a part is doubled */ memcpy(copy, data + at, n); return insert(data, size, at, copy, n);
    case 6: {
        const char *text = texts[draw(sizeof texts / sizeof *texts)];
        return insert(data, size, at, (const uint8_t *)text, strlen(text));
    }
    default: { /* a part of another seed */
        const test_bytes *other = &seeds[draw((uint64_t)n_seeds)];
        size_t from = draw(other->n), length = 1 + draw(other->n - from < 64 ? other->n - from : 64);
        return insert(data, size, at, other->data + from, length);
    }
    }
}

static int run(uint64_t runs) {
    static uint8_t data[MAX_SIZE];
    for (uint64_t i = 0; i < runs; i++) {
        const test_bytes *seed = &seeds[i < (uint64_t)n_seeds ? i : draw((uint64_t)n_seeds)];
        size_t size = seed->n;
        memcpy(data, seed->data, size);
        for (uint64_t k = i < (uint64_t)n_seeds ? 0 : 1 + draw(6); k > 0; k--)
            size = change(data, size);
        uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%" PRIu64 " inputs\n", runs);
    return EXIT_SUCCESS;
}

static int run_files(int n, char **paths) {
    for (int i = 0; i < n; i++) {
        static uint8_t data[MAX_SIZE];
        FILE *file = fopen(paths[i], "rb");
        if (file == NULL)
            return EXIT_FAILURE;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return EXIT_SUCCESS;
}

static int write_seeds(const char *folder) {
    for (int i = 0; i < n_seeds; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed%d", folder, i);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(seeds[i].data, 1, seeds[i].n, file) != seeds[i].n || fclose(file) != 0)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    for (; n_seeds < MAX_SEEDS && (seeds[n_seeds] = fuzz_seed(n_seeds)).data != NULL; n_seeds++)
        ;
    if (argc > 2 && strcmp(argv[1], "--write") == 0)
        return write_seeds(argv[2]);
    if (argc > 2 && strcmp(argv[1], "--run") == 0)
        return run_files(argc - 2, argv + 2);
#ifndef __SANITIZE_ADDRESS__ /* which has an address space of its own size, and a limit of its own */
    setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)1 << 30, (rlim_t)1 << 30});
#endif
    state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 88172645463325252u;
    int code = run(argc > 1 ? strtoull(argv[1], NULL, 10) : 10000);
    for (int i = 0; i < n_seeds; i++)
        free(seeds[i].data);
    return code;
}
