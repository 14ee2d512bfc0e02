/* Layer: engine. Writes a file that appears whole or not at all: under another name in the same folder, synced, renamed
 * over the target, and the folder synced. Whatever fails, an older file of that name stays as it was. */
#ifndef TREAD_ENGINE_FILE_WRITER_H
#define TREAD_ENGINE_FILE_WRITER_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

typedef struct tread_file_writer {
    int fd;
    char path[PATH_MAX];      /* the target, links resolved */
    char temporary[PATH_MAX]; /* in its folder */
} tread_file_writer;

/* Creates the temporary file, with the target's mode if there is one, and reserves size bytes where the file system
 * can. TREAD_ERROR_IO (also where the target is a folder or a device), TREAD_ERROR_ARGUMENT (path too long). Nothing is
 * left behind then. */
tread_status tread_file_begin(tread_file_writer *writer, const char *path, uint64_t size);
/* Errors leave the writer open: call tread_file_abort. */
tread_status tread_file_write(tread_file_writer *writer, const void *data, size_t n);
/* Syncs and renames. On failure nothing is left behind (but where syncing the folder failed the new file is there). The
 * writer is closed in any case. */
tread_status tread_file_commit(tread_file_writer *writer);
void tread_file_abort(tread_file_writer *writer); /* removes the temporary file */

#endif
