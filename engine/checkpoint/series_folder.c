#include "engine/checkpoint/series_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/file_system.h"
#include "engine/file_writer.h"

#define PREFIX "step-"
#define SUFFIX ".safetensors"
#define DIGITS 12
#define LOCK ".lock"
#define PROCESS_BYTES 21 /* of the lock's text: a number of one width, so that each holder writes over the last */

static tread_status check_length(const char *folder, int length) {
    return length > 0 && length < PATH_MAX ? TREAD_OK
                                           : tread_fail(TREAD_ERROR_ARGUMENT, "%s: the path is too long", folder);
}

tread_status tread_series_step_path(const char *folder, int64_t step, char ret_path[PATH_MAX]) {
    return check_length(folder, snprintf(ret_path, PATH_MAX, "%s/" PREFIX "%0*" PRId64 SUFFIX, folder, DIGITS, step));
}

tread_status tread_series_best_path(const char *folder, char ret_path[PATH_MAX]) {
    return check_length(folder, snprintf(ret_path, PATH_MAX, "%s/" TREAD_SERIES_BEST, folder));
}

/* The step that name stands for; -1 for other names, such as those with fewer digits or with needless ones. */
static int64_t step_of(const char *name) {
    char again[64];
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return -1;
    errno = 0;
    int64_t step = strtoll(name + strlen(PREFIX), NULL, 10);
    snprintf(again, sizeof again, PREFIX "%0*" PRId64 SUFFIX, DIGITS, step);
    return errno == 0 && step >= 0 && strcmp(again, name) == 0 ? step : -1;
}

bool tread_series_is_ours(const char *name) { return strcmp(name, TREAD_SERIES_BEST) == 0 || step_of(name) >= 0; }

typedef struct listing {
    tread_series_steps steps;
    bool failed; /* out of memory */
} listing;

static bool add_step(void *data, const char *name) {
    listing *all = data;
    tread_series_steps *steps = &all->steps;
    int64_t step = step_of(name);
    if (step < 0)
        return true;
    if (steps->n == steps->capacity) {
        size_t grown = steps->capacity > 0 ? 2 * steps->capacity : 16;
        int64_t *items =
            tread_realloc(steps->items, steps->n * sizeof *items, grown * sizeof *items, "list of checkpoints");
        all->failed = items == NULL;
        if (all->failed)
            return false;
        steps->items = items;
        steps->capacity = grown;
    }
    steps->items[steps->n++] = step;
    return true;
}

static int compare_steps(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

tread_status tread_series_list(const char *folder, tread_series_steps *ret_steps) {
    listing all = {.failed = false};
    tread_status status = TREAD_OK;
    if (tread_fs_list(folder, add_step, &all) != 0)
        status = tread_fail(TREAD_ERROR_IO, "%s: cannot list the folder: %s", folder, strerror(errno));
    else if (all.failed)
        status = TREAD_ERROR_MEMORY;
    if (status != TREAD_OK) {
        tread_series_steps_free(&all.steps);
        return status;
    }
    if (all.steps.n > 0)
        qsort(all.steps.items, all.steps.n, sizeof *all.steps.items, compare_steps);
    *ret_steps = all.steps;
    return TREAD_OK;
}

void tread_series_steps_free(tread_series_steps *steps) {
    tread_free(steps->items);
    *steps = (tread_series_steps){0};
}

tread_status tread_series_create_folder(const char *folder) {
    char path[PATH_MAX];
    struct stat status;
    bool created = tread_fs_mkdir(folder, 0777) == 0;
    if (!created && errno != EEXIST)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot create the folder: %s", folder, strerror(errno));
    if (tread_fs_stat(folder, &status) != 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot look at: %s", folder, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return tread_fail(TREAD_ERROR_IO, "%s: is not a folder", folder);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    TREAD_TRY(check_length(folder, snprintf(path, sizeof path, "%.*s", (int)length, folder)));
    tread_status synced = tread_file_sync_folder(path);
    /* Whoever created an older one may have died before this; but not every parent can be opened. */
    return created ? synced : TREAD_OK;
}

static tread_status locked_by(const char *folder, int fd) {
    char text[PROCESS_BYTES + 1] = "";
    ssize_t got = tread_fs_pread(fd, text, PROCESS_BYTES, 0);
    long process = got > 0 ? strtol(text, NULL, 10) : 0;
    if (process <= 0)
        return tread_fail(TREAD_ERROR_STATE, "%s: is in use: a series of checkpoints has one writer", folder);
    return tread_fail(TREAD_ERROR_STATE, "%s: is in use by process %ld: a series of checkpoints has one writer", folder,
                      process);
}

tread_status tread_series_lock(const char *folder, int *ret_fd) {
    char path[PATH_MAX], text[PROCESS_BYTES + 1];
    TREAD_TRY(check_length(folder, snprintf(path, sizeof path, "%s/" LOCK, folder)));
    int fd = tread_fs_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (tread_fs_flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        tread_status status = locked_by(folder, fd);
        tread_fs_close(fd);
        return status;
    }
    snprintf(text, sizeof text, "%-*ld\n", PROCESS_BYTES - 1, (long)getpid());
    tread_fs_write(fd, text, PROCESS_BYTES); /* for the other's sentence only */
    *ret_fd = fd;
    return TREAD_OK;
}
