#include "engine/file_writer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/file_system.h"

static tread_status failed(const char *path, const char *step) {
    return tread_fail(TREAD_ERROR_IO, "%s: cannot %s: %s", path, step, strerror(errno));
}

/* Where the target is a link, the file it points to is the one to replace. mode: the target's, or 0 where it is new. */
static tread_status resolve(tread_file_writer *writer, const char *path, mode_t *ret_mode) {
    struct stat status;
    *ret_mode = 0;
    if (tread_fs_stat(path, &status) == 0) {
        if (!S_ISREG(status.st_mode))
            return tread_fail(TREAD_ERROR_IO, "%s: is not a regular file, and would be replaced", path);
        *ret_mode = status.st_mode & 07777;
        return tread_fs_realpath(path, writer->path) != NULL ? TREAD_OK : failed(path, "resolve");
    }
    if (errno != ENOENT)
        return failed(path, "look at");
    if (strlen(path) >= sizeof writer->path)
        return tread_fail(TREAD_ERROR_ARGUMENT, "a path of %zu bytes is too long", strlen(path));
    memcpy(writer->path, path, strlen(path) + 1);
    return TREAD_OK;
}

/* "TARGET.PROCESS-SERIAL.tmp" */
static tread_status name_temporary(const char *path, char ret_temporary[PATH_MAX]) {
    static atomic_uint serial;
    int length = snprintf(ret_temporary, PATH_MAX, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    return length > 0 && length < PATH_MAX ? TREAD_OK
                                           : tread_fail(TREAD_ERROR_ARGUMENT, "%s: the path is too long", path);
}

/* Whether the new file is ours: somebody who removes abandoned files may have come between open and lock. Where there
 * are no locks, nobody removes any. */
static bool hold(int fd) {
    struct stat status;
    if (tread_fs_flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return false;
    return tread_fs_fstat(fd, &status) != 0 || status.st_nlink > 0;
}

/* O_EXCL keeps other writers of the same target apart, in this process and in others. */
static tread_status create_temporary(tread_file_writer *writer) {
    for (int attempt = 0; attempt < 100; attempt++) {
        TREAD_TRY(name_temporary(writer->path, writer->temporary));
        writer->fd = tread_fs_open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0 && hold(writer->fd))
            return TREAD_OK;
        if (writer->fd >= 0)
            tread_fs_close(writer->fd);
        else if (errno != EEXIST)
            break;
    }
    return failed(writer->temporary, "create");
}

static tread_status prepare(const tread_file_writer *writer, mode_t mode, uint64_t size) {
    if (mode != 0 && tread_fs_fchmod(writer->fd, mode) != 0)
        return failed(writer->temporary, "set the mode of");
    if (size > INT64_MAX || tread_fs_fallocate(writer->fd, (off_t)size) != 0)
        return failed(writer->path, "reserve space");
    return TREAD_OK;
}

tread_status tread_file_begin(tread_file_writer *writer, const char *path, uint64_t size) {
    mode_t mode;
    TREAD_TRY(resolve(writer, path, &mode));
    TREAD_TRY(create_temporary(writer));
    tread_status status = prepare(writer, mode, size);
    if (status != TREAD_OK)
        tread_file_abort(writer);
    return status;
}

tread_status tread_file_write(tread_file_writer *writer, const void *data, size_t n) {
    return tread_fs_write(writer->fd, data, n) ? TREAD_OK : failed(writer->path, "write");
}

void tread_file_abort(tread_file_writer *writer) {
    if (writer->fd >= 0)
        tread_fs_close(writer->fd);
    writer->fd = -1;
    tread_fs_unlink(writer->temporary);
}

tread_status tread_file_sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path + 1), slash == NULL ? "." : path);
    int fd = tread_fs_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return failed(folder, "open");
    /* Some file systems cannot sync folders, and say so with EINVAL. */
    tread_status status = tread_fs_fsync(fd) == 0 || errno == EINVAL ? TREAD_OK : failed(folder, "sync");
    tread_fs_close(fd);
    return status;
}

static tread_status finish(tread_file_writer *writer) {
    if (tread_fs_fsync(writer->fd) != 0)
        return failed(writer->path, "sync");
    int fd = writer->fd;
    writer->fd = -1;
    if (tread_fs_close(fd) != 0)
        return failed(writer->path, "close");
    if (tread_fs_rename(writer->temporary, writer->path) != 0)
        return failed(writer->path, "rename");
    return TREAD_OK;
}

tread_status tread_file_commit(tread_file_writer *writer) {
    tread_status status = finish(writer);
    if (status != TREAD_OK) {
        tread_file_abort(writer);
        return status;
    }
    return tread_file_sync_folder(writer->path);
}

#define COPY_BYTES ((size_t)1 << 18)

static tread_status copy_bytes(int fd, const char *from, tread_file_writer *writer, char *buffer) {
    for (;;) {
        ssize_t got = tread_fs_read(fd, buffer, COPY_BYTES);
        if (got < 0)
            return failed(from, "read");
        if (got == 0)
            return tread_file_commit(writer);
        TREAD_TRY(tread_file_write(writer, buffer, (size_t)got));
    }
}

static tread_status copy_open(int fd, const char *from, const char *path) {
    struct stat status;
    tread_file_writer writer;
    if (tread_fs_fstat(fd, &status) != 0)
        return failed(from, "look at");
    char *buffer = tread_alloc(COPY_BYTES, "copy of a file");
    if (buffer == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status result = tread_file_begin(&writer, path, (uint64_t)status.st_size);
    if (result == TREAD_OK) {
        result = copy_bytes(fd, from, &writer, buffer);
        if (result != TREAD_OK)
            tread_file_abort(&writer);
    }
    tread_free(buffer);
    return result;
}

static tread_status copy(const char *from, const char *path) {
    int fd = tread_fs_open(from, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return failed(from, "open");
    tread_status status = copy_open(fd, from, path);
    tread_fs_close(fd);
    return status;
}

/* *ret_linked = false, and no error, where the file system has no second names. */
static tread_status link_temporary(const char *from, const char *path, char ret_temporary[PATH_MAX], bool *ret_linked) {
    *ret_linked = false;
    for (int attempt = 0; attempt < 100; attempt++) {
        TREAD_TRY(name_temporary(path, ret_temporary));
        *ret_linked = tread_fs_link(from, ret_temporary) == 0;
        if (*ret_linked || errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK)
            return TREAD_OK;
        if (errno != EEXIST)
            break;
    }
    return failed(path, "link");
}

tread_status tread_file_link(const char *from, const char *path) {
    char temporary[PATH_MAX];
    bool linked;
    TREAD_TRY(link_temporary(from, path, temporary, &linked));
    if (!linked)
        return copy(from, path);
    tread_status status = tread_fs_rename(temporary, path) == 0 ? TREAD_OK : failed(path, "rename");
    /* Where both were names of one file already, rename has done nothing and the temporary name is still there. */
    tread_fs_unlink(temporary);
    return status == TREAD_OK ? tread_file_sync_folder(path) : status;
}

typedef struct abandoned {
    const char *folder;
    bool (*ours)(const char *target);
} abandoned;

/* Cuts ".PROCESS-SERIAL.tmp" off name; false where it does not end so. */
static bool cut_suffix(char *name) {
    size_t end = strlen(name);
    if (end < 4 || strcmp(name + end - 4, ".tmp") != 0)
        return false;
    name[end - 4] = '\0';
    char *dot = strrchr(name, '.');
    char *dash = dot == NULL ? NULL : strchr(dot, '-');
    if (dash == NULL || dash == dot + 1 || dash[1] == '\0')
        return false;
    *dash = '0';
    bool is_ours = strspn(dot + 1, "0123456789") == strlen(dot + 1);
    *dot = '\0';
    return is_ours;
}

static bool remove_abandoned(void *data, const char *name) {
    const abandoned *these = data;
    char target[NAME_MAX + 1], path[PATH_MAX];
    snprintf(target, sizeof target, "%s", name);
    int length = snprintf(path, sizeof path, "%s/%s", these->folder, name);
    if (!cut_suffix(target) || !these->ours(target) || length < 0 || (size_t)length >= sizeof path)
        return true;
    /* For writing where that may be: NFS gives no exclusive lock else. One that had its target's mode may be read-only.
     */
    const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = tread_fs_open(path, O_WRONLY | flags, 0);
    if (fd < 0 && errno == EACCES)
        fd = tread_fs_open(path, O_RDONLY | flags, 0);
    if (fd < 0)
        return true;
    if (tread_fs_flock(fd, LOCK_EX | LOCK_NB) == 0)
        tread_fs_unlink(path);
    tread_fs_close(fd);
    return true;
}

void tread_file_remove_abandoned(const char *folder, bool (*ours)(const char *target)) {
    tread_fs_list(folder, remove_abandoned, &(abandoned){folder, ours});
}
