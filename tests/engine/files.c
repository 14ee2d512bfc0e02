#include "tests/engine/files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[256];

static void must(bool condition, const char *what) {
    if (!condition) {
        perror(what);
        exit(99);
    }
}

void test_folders_in_memory(void) {
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
}

const char *test_folder_create(void) {
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tread_test_XXXXXX", parent != NULL ? parent : P_tmpdir);
    must(mkdtemp(folder) != NULL, folder);
    return folder;
}

void test_folder_remove(void) {
    chmod(folder, 0700);
    DIR *files = opendir(folder);
    must(files != NULL, folder);
    for (struct dirent *file; (file = readdir(files)) != NULL;)
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0) {
            const char *path = test_path(file->d_name);
            must(unlink(path) == 0 || rmdir(path) == 0, path);
        }
    closedir(files);
    must(rmdir(folder) == 0, folder);
}

const char *test_path(const char *name) {
    static char paths[16][512];
    static int turn;
    char *path = paths[turn++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void test_write(const char *path, const void *data, size_t n) {
    unlink(path); /* ext4 flushes a file that is truncated and written anew, which makes loops here slow */
    FILE *file = fopen(path, "wb");
    must(file != NULL && fwrite(data, 1, n, file) == n && fclose(file) == 0, path);
}

void test_write_gzip(const char *path, const void *data, size_t n) {
    gzFile file = gzopen(path, "wb6");
    must(file != NULL && gzwrite(file, data, (unsigned)n) == (int)n && gzclose(file) == Z_OK, path);
}

uint8_t *test_read(const char *path, size_t *ret_n) {
    FILE *file = fopen(path, "rb");
    must(file != NULL && fseek(file, 0, SEEK_END) == 0, path);
    *ret_n = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*ret_n + 1);
    must(bytes != NULL && fread(bytes, 1, *ret_n, file) == *ret_n, path);
    bytes[*ret_n] = 0;
    fclose(file);
    return bytes;
}

uint8_t *test_idx(int rank, const uint32_t *shape, int classes, size_t *ret_n) {
    size_t header = 4 + 4 * (size_t)rank, n = 1;
    for (int i = 0; i < rank; i++)
        n *= shape[i];
    uint8_t *bytes = calloc(1, header + n);
    must(bytes != NULL, "memory");
    bytes[2] = 8;
    bytes[3] = (uint8_t)rank;
    for (int i = 0; i < rank; i++)
        for (int b = 0; b < 4; b++)
            bytes[4 + 4 * i + b] = (uint8_t)(shape[i] >> (24 - 8 * b));
    for (size_t i = 0; i < n; i++)
        bytes[header + i] = (uint8_t)(classes > 0 ? i % (size_t)classes : i * 7 + i / 256);
    *ret_n = header + n;
    return bytes;
}

/* Bytes of an image: a pattern of its class under noise. */
static void draw(uint8_t *image, int n, int class, uint32_t *noise) {
    for (int i = 0; i < n; i++) {
        *noise = *noise * 1664525 + 1013904223;
        image[i] = (uint8_t)(((i * (class + 1) + class * 3) % 7 < 3 ? 150 : 20) + (*noise >> 24) % 80);
    }
}

static void write_part(const char *part, int n, int rows, int columns, int classes, bool gzip) {
    char name[64];
    size_t bytes;
    uint32_t noise = (uint32_t)n;
    void (*write)(const char *, const void *, size_t) = gzip ? test_write_gzip : test_write;

    uint8_t *images = test_idx(3, (uint32_t[]){(uint32_t)n, (uint32_t)rows, (uint32_t)columns}, 0, &bytes);
    for (int i = 0; i < n; i++)
        draw(images + 16 + (ptrdiff_t)i * rows * columns, rows * columns, i % classes, &noise);
    snprintf(name, sizeof name, "%s-images-idx3-ubyte%s", part, gzip ? ".gz" : "");
    write(test_path(name), images, bytes);
    free(images);

    uint8_t *labels = test_idx(1, (uint32_t[]){(uint32_t)n}, classes, &bytes);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte%s", part, gzip ? ".gz" : "");
    write(test_path(name), labels, bytes);
    free(labels);
}

void test_write_mnist(int n_train, int n_test, int rows, int columns, int classes, bool gzip) {
    write_part("train", n_train, rows, columns, classes, gzip);
    write_part("t10k", n_test, rows, columns, classes, gzip);
}
