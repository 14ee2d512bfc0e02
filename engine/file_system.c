#include "engine/file_system.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MOST_AT_ONCE ((size_t)1 << 30) /* Linux moves at most 2 GiB - 4 KiB in a call */

/* The variadic and the overloaded ones, as functions that have an address. */
static int open_file(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static int reserve(int fd, off_t n) { return fallocate(fd, 0, 0, n); }
static int status_of_file(int fd, struct stat *ret_status) { return fstat(fd, ret_status); }
static int status_of_path(const char *path, struct stat *ret_status) { return stat(path, ret_status); }
static char *real_path(const char *path, char *ret_path) { return realpath(path, ret_path); }

const tread_file_system tread_file_system_default = {
    .open = open_file,
    .read = read,
    .pread = pread,
    .write = write,
    .fallocate = reserve,
    .fchmod = fchmod,
    .fsync = fsync,
    .close = close,
    .flock = flock,
    .fstat = status_of_file,
    .stat = status_of_path,
    .access = access,
    .realpath = real_path,
    .link = link,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
    .opendir = opendir,
    .readdir = readdir,
    .closedir = closedir,
};

static _Atomic(const tread_file_system *) now = &tread_file_system_default;

void tread_file_system_set(const tread_file_system *files) {
    atomic_store(&now, files != NULL ? files : &tread_file_system_default);
}

static const tread_file_system *table(void) { return atomic_load_explicit(&now, memory_order_acquire); }

/* The value of a call that is made again where a signal came first. */
#define AGAIN(call)                                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(call) result_;                                                                                      \
        do                                                                                                             \
            result_ = (call);                                                                                          \
        while (result_ < 0 && errno == EINTR);                                                                         \
        result_;                                                                                                       \
    })

static size_t at_once(size_t n) { return n < MOST_AT_ONCE ? n : MOST_AT_ONCE; }

int tread_fs_open(const char *path, int flags, mode_t mode) { return AGAIN(table()->open(path, flags, mode)); }
ssize_t tread_fs_read(int fd, void *data, size_t n) { return AGAIN(table()->read(fd, data, at_once(n))); }

ssize_t tread_fs_pread(int fd, void *data, size_t n, off_t offset) {
    return AGAIN(table()->pread(fd, data, at_once(n), offset));
}

bool tread_fs_write(int fd, const void *data, size_t n) {
    for (const char *bytes = data; n > 0;) {
        ssize_t written = AGAIN(table()->write(fd, bytes, at_once(n)));
        if (written == 0)
            errno = EIO; /* no file system should do so; without this it would go on for ever */
        if (written <= 0)
            return false;
        bytes += written;
        n -= (size_t)written;
    }
    return true;
}

int tread_fs_fallocate(int fd, off_t n) {
    int result = n > 0 ? AGAIN(table()->fallocate(fd, n)) : 0;
    return result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS) ? 0 : result;
}

int tread_fs_fchmod(int fd, mode_t mode) { return AGAIN(table()->fchmod(fd, mode)); }
int tread_fs_fsync(int fd) { return AGAIN(table()->fsync(fd)); }

int tread_fs_close(int fd) {
    int result = table()->close(fd);
    return result != 0 && errno == EINTR ? 0 : result;
}

int tread_fs_flock(int fd, int operation) { return AGAIN(table()->flock(fd, operation)); }
int tread_fs_fstat(int fd, struct stat *ret_status) { return AGAIN(table()->fstat(fd, ret_status)); }
int tread_fs_stat(const char *path, struct stat *ret_status) { return AGAIN(table()->stat(path, ret_status)); }
int tread_fs_access(const char *path, int mode) { return AGAIN(table()->access(path, mode)); }

char *tread_fs_realpath(const char *path, char *ret_path) {
    char *result;
    do
        result = table()->realpath(path, ret_path);
    while (result == NULL && errno == EINTR);
    return result;
}

int tread_fs_link(const char *from, const char *to) { return AGAIN(table()->link(from, to)); }
int tread_fs_rename(const char *from, const char *to) { return AGAIN(table()->rename(from, to)); }
int tread_fs_unlink(const char *path) { return AGAIN(table()->unlink(path)); }
int tread_fs_mkdir(const char *path, mode_t mode) { return AGAIN(table()->mkdir(path, mode)); }

int tread_fs_list(const char *folder, bool (*visit)(void *data, const char *name), void *data) {
    DIR *stream;
    do
        stream = table()->opendir(folder);
    while (stream == NULL && errno == EINTR);
    if (stream == NULL)
        return -1;
    int reason = 0;
    for (bool more = true; more;) {
        errno = 0;
        struct dirent *entry = table()->readdir(stream);
        if (entry == NULL && errno == EINTR)
            continue;
        reason = entry == NULL ? errno : 0;
        more = entry != NULL;
        if (more && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            more = visit(data, entry->d_name);
    }
    table()->closedir(stream);
    errno = reason;
    return reason == 0 ? 0 : -1;
}
