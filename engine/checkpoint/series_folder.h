/* Layer: engine. The folder of a series of checkpoints: its files' names, which are there, and its lock. */
#ifndef TREAD_ENGINE_SERIES_FOLDER_H
#define TREAD_ENGINE_SERIES_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

#define TREAD_SERIES_BEST "best.safetensors"

/* FOLDER/step-000000001200.safetensors: twelve digits, so that names sort as steps do; longer from 10^12 on. */
tread_status tread_series_step_path(const char *folder, int64_t step, char ret_path[PATH_MAX]);
tread_status tread_series_best_path(const char *folder, char ret_path[PATH_MAX]);
/* Whether name is one that this series gives its checkpoints. */
bool tread_series_is_ours(const char *name);

typedef struct tread_series_steps {
    int64_t *items; /* largest first */
    size_t n, capacity;
} tread_series_steps;
/* The steps of which there are files. TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
tread_status tread_series_list(const char *folder, tread_series_steps *ret_steps);
void tread_series_steps_free(tread_series_steps *steps);

/* Creates the folder where it is missing, and makes it last. TREAD_ERROR_IO. */
tread_status tread_series_create_folder(const char *folder);
/* Locks the folder until *ret_fd is closed; a file system without locks is taken as it is. TREAD_ERROR_STATE (locked by
 * somebody else), TREAD_ERROR_IO, TREAD_ERROR_ARGUMENT (path too long). */
tread_status tread_series_lock(const char *folder, int *ret_fd);

#endif
