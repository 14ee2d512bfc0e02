/* Layer: engine. Writes a file that appears whole or not at all: under another name in the same folder, its space
 * reserved before the first byte, synced, renamed over the target, and the folder synced. Whatever fails, an older file
 * of that name stays as it was.
 *
 * The other name is TARGET.PROCESS-SERIAL.tmp. While a writer lives it holds a lock (flock) on that file, so that files
 * of killed writers can be told from those of living ones, on other machines too. */
#ifndef TREAD_ENGINE_FILE_WRITER_H
#define TREAD_ENGINE_FILE_WRITER_H

#include <limits.h>
#include <stdbool.h>
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

/* Makes path a second name of the file `from`, in the same folder, with the same promises; where the file system has no
 * second names, a copy. TREAD_ERROR_IO, TREAD_ERROR_ARGUMENT (path too long), TREAD_ERROR_MEMORY. */
tread_status tread_file_link(const char *from, const char *path);

/* Syncs the folder that path lies in: what was created, renamed and removed there survives a crash from then on. */
tread_status tread_file_sync_folder(const char *path);

/* Removes the temporary files in folder that no living writer holds and whose target's name `ours` accepts. What cannot
 * be removed stays. */
void tread_file_remove_abandoned(const char *folder, bool (*ours)(const char *target));

#endif
