/* Layer: engine. The one door to the system's file calls: no other file of the engine makes them.
 *
 * Tests put another table in its place, which makes the n-th call fail or records what a save does. The tread_fs_
 * functions are the system's, with errno, but go on after a signal (EINTR) by themselves. */
#ifndef TREAD_ENGINE_FILE_SYSTEM_H
#define TREAD_ENGINE_FILE_SYSTEM_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct tread_file_system {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *data, size_t n);
    ssize_t (*pread)(int fd, void *data, size_t n, off_t offset);
    ssize_t (*write)(int fd, const void *data, size_t n);
    int (*fallocate)(int fd, off_t n); /* reserves [0, n) */
    int (*fchmod)(int fd, mode_t mode);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*flock)(int fd, int operation);
    int (*fstat)(int fd, struct stat *ret_status);
    int (*stat)(const char *path, struct stat *ret_status);
    int (*access)(const char *path, int mode);
    char *(*realpath)(const char *path, char *ret_path); /* of PATH_MAX bytes */
    int (*link)(const char *from, const char *to);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *folder);
    int (*closedir)(DIR *folder);
} tread_file_system;

extern const tread_file_system tread_file_system_default;
/* Test hook: the table that every call goes through from now on; NULL: the system's. For the whole process, and to be
 * changed only while no file is in use. */
void tread_file_system_set(const tread_file_system *files);

int tread_fs_open(const char *path, int flags, mode_t mode);
/* At most n bytes (and 1 GiB); 0 at the end of the file. */
ssize_t tread_fs_read(int fd, void *data, size_t n);
ssize_t tread_fs_pread(int fd, void *data, size_t n, off_t offset);
/* All n bytes. */
bool tread_fs_write(int fd, const void *data, size_t n);
/* Where the file system cannot reserve space, that is success. */
int tread_fs_fallocate(int fd, off_t n);
int tread_fs_fchmod(int fd, mode_t mode);
int tread_fs_fsync(int fd);
/* A signal does not keep Linux from closing: EINTR is success, and the caller has synced what must be on disk. */
int tread_fs_close(int fd);
int tread_fs_flock(int fd, int operation);
int tread_fs_fstat(int fd, struct stat *ret_status);
int tread_fs_stat(const char *path, struct stat *ret_status);
int tread_fs_access(const char *path, int mode);
char *tread_fs_realpath(const char *path, char *ret_path);
int tread_fs_link(const char *from, const char *to);
int tread_fs_rename(const char *from, const char *to);
int tread_fs_unlink(const char *path);
int tread_fs_mkdir(const char *path, mode_t mode);
/* Calls visit with each name in the folder, but not . and .., until it gives false. */
int tread_fs_list(const char *folder, bool (*visit)(void *data, const char *name), void *data);

#endif
