#include "engine/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"

static tread_status failed(const char *path, const char *step) {
    return tread_fail(TREAD_ERROR_IO, "%s: cannot %s: %s", path, step, strerror(errno));
}

/* Where the target is a link, the file it points to is the one to replace. mode: the target's, or 0 where it is new. */
static tread_status resolve(tread_file_writer *writer, const char *path, mode_t *ret_mode) {
    struct stat status;
    *ret_mode = 0;
    if (stat(path, &status) == 0) {
        if (!S_ISREG(status.st_mode))
            return tread_fail(TREAD_ERROR_IO, "%s: is not a regular file, and would be replaced", path);
        *ret_mode = status.st_mode & 07777;
        return realpath(path, writer->path) != NULL ? TREAD_OK : failed(path, "resolve");
    }
    if (errno != ENOENT)
        return failed(path, "look at");
    if (strlen(path) >= sizeof writer->path)
        return tread_fail(TREAD_ERROR_ARGUMENT, "a path of %zu bytes is too long", strlen(path));
    memcpy(writer->path, path, strlen(path) + 1);
    return TREAD_OK;
}

/* O_EXCL keeps other writers of the same target apart, in this process and in others. */
static tread_status create_temporary(tread_file_writer *writer) {
    static atomic_uint serial;
    for (int attempt = 0; attempt < 100; attempt++) {
        int length = snprintf(writer->temporary, sizeof writer->temporary, "%s.%ld-%u.tmp", writer->path,
                              (long)getpid(), atomic_fetch_add(&serial, 1));
        if (length < 0 || (size_t)length >= sizeof writer->temporary)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the path is too long", writer->path);
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0)
            return TREAD_OK;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return failed(writer->temporary, "create");
}

static tread_status reserve(const tread_file_writer *writer, uint64_t size) {
    int result = 0;
    do
        result = size > 0 ? fallocate(writer->fd, 0, 0, (off_t)size) : 0;
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return failed(writer->path, "reserve space");
    return TREAD_OK;
}

static tread_status prepare(const tread_file_writer *writer, mode_t mode, uint64_t size) {
    if (mode != 0 && fchmod(writer->fd, mode) != 0)
        return failed(writer->temporary, "set the mode of");
    return reserve(writer, size);
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
    const char *bytes = data;
    while (n > 0) {
        ssize_t written = write(writer->fd, bytes, n < (1u << 30) ? n : 1u << 30);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed(writer->path, "write");
        bytes += written;
        n -= (size_t)written;
    }
    return TREAD_OK;
}

void tread_file_abort(tread_file_writer *writer) {
    if (writer->fd >= 0)
        close(writer->fd);
    writer->fd = -1;
    unlink(writer->temporary);
}

static tread_status sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path + 1), slash == NULL ? "." : path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(folder, "open");
    /* Some file systems cannot sync folders, and say so with EINVAL. */
    tread_status status = fsync(fd) == 0 || errno == EINVAL ? TREAD_OK : failed(folder, "sync");
    close(fd);
    return status;
}

static tread_status finish(tread_file_writer *writer) {
    if (fsync(writer->fd) != 0)
        return failed(writer->path, "sync");
    int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0)
        return failed(writer->path, "close");
    if (rename(writer->temporary, writer->path) != 0)
        return failed(writer->path, "rename");
    return TREAD_OK;
}

tread_status tread_file_commit(tread_file_writer *writer) {
    tread_status status = finish(writer);
    if (status != TREAD_OK) {
        tread_file_abort(writer);
        return status;
    }
    return sync_folder(writer->path);
}
