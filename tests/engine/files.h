/* Layer: tests. Folders and IDX files for the tests of the engine. */
#ifndef TREAD_TESTS_ENGINE_FILES_H
#define TREAD_TESTS_ENGINE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Has the folders lie in memory where that can be, unless TMPDIR says where: for tests that make thousands of files. */
void test_folders_in_memory(void);
/* A new empty folder, removed with all its files by test_folder_remove; static buffer. */
const char *test_folder_create(void);
void test_folder_remove(void);
/* "folder/name"; one of 16 static buffers in turn. */
const char *test_path(const char *name);

void test_write(const char *path, const void *data, size_t n);
void test_write_gzip(const char *path, const void *data, size_t n);
/* The whole file in malloc'd memory, with a NUL behind it. */
uint8_t *test_read(const char *path, size_t *ret_n);

/* The bytes of an IDX file in malloc'd memory: values i * 7 + i / 256 mod 256, or for labels i mod classes. */
uint8_t *test_idx(int rank, const uint32_t *shape, int classes, size_t *ret_n);

/* The four files of a small MNIST-like set in the test folder: n_train and n_test images of rows x columns, `classes`
 * classes. With gzip, names end in .gz. Images of one class look alike, so that it can be learned. */
void test_write_mnist(int n_train, int n_test, int rows, int columns, int classes, bool gzip);

#endif
