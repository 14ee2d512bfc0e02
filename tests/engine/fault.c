#include "tests/engine/fault.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "engine/file_system.h"

const char *const fault_names[FAULT_KINDS + 1] = {"open", "read",   "write",  "fallocate", "fsync",  "close", "rename",
                                                  "link", "unlink", "status", "lock",      "folder", "any"};

/* Calls come from the thread that writes in the background too. */
static atomic_int left, planned_kind, planned_reason;
static atomic_bool stays, happened;

/* 0: goes well; else the reason. */
static int fault(fault_kind kind) {
    int wanted = atomic_load(&planned_kind);
    if (wanted != (int)kind && wanted != FAULT_ANY)
        return 0;
    int before = atomic_fetch_sub(&left, 1);
    if (before != 1 && !(before < 1 && atomic_load(&stays)))
        return 0;
    atomic_store(&happened, true);
    return atomic_load(&planned_reason);
}

/* Fails the call, or makes it. */
#define FAIL_OR(kind, failure, call)                                                                                   \
    do {                                                                                                               \
        int reason_ = fault(kind);                                                                                     \
        if (reason_ > 0) {                                                                                             \
            errno = reason_;                                                                                           \
            return failure;                                                                                            \
        }                                                                                                              \
        return call;                                                                                                   \
    } while (0)

#define REAL tread_file_system_default

static int fault_open(const char *path, int flags, mode_t mode) {
    FAIL_OR(FAULT_OPEN, -1, REAL.open(path, flags, mode));
}

static size_t shortened(int reason, size_t n) { return reason == FAULT_SHORT && n > 1 ? n / 2 : n; }

static ssize_t fault_read(int fd, void *data, size_t n) {
    int reason = fault(FAULT_READ);
    if (reason > 0)
        return errno = reason, -1;
    return REAL.read(fd, data, shortened(reason, n));
}

static ssize_t fault_pread(int fd, void *data, size_t n, off_t offset) {
    int reason = fault(FAULT_READ);
    if (reason > 0)
        return errno = reason, -1;
    return REAL.pread(fd, data, shortened(reason, n), offset);
}

/* A full disk takes a part first. */
static ssize_t fault_write(int fd, const void *data, size_t n) {
    int reason = fault(FAULT_WRITE);
    if (reason > 0 && reason != EINTR)
        REAL.write(fd, data, n / 2);
    if (reason > 0)
        return errno = reason, -1;
    return REAL.write(fd, data, shortened(reason, n));
}

static int fault_close(int fd) {
    int reason = fault(FAULT_CLOSE), result = REAL.close(fd);
    if (reason > 0)
        return errno = reason, -1;
    return result;
}

static int fault_fallocate(int fd, off_t n) { FAIL_OR(FAULT_FALLOCATE, -1, REAL.fallocate(fd, n)); }
static int fault_fsync(int fd) { FAIL_OR(FAULT_FSYNC, -1, fd >= 0 ? 0 : -1); }
static int fault_rename(const char *from, const char *to) { FAIL_OR(FAULT_RENAME, -1, REAL.rename(from, to)); }
static int fault_link(const char *from, const char *to) { FAIL_OR(FAULT_LINK, -1, REAL.link(from, to)); }
static int fault_unlink(const char *path) { FAIL_OR(FAULT_UNLINK, -1, REAL.unlink(path)); }
static int fault_fchmod(int fd, mode_t mode) { FAIL_OR(FAULT_STATUS, -1, REAL.fchmod(fd, mode)); }
static int fault_fstat(int fd, struct stat *status) { FAIL_OR(FAULT_STATUS, -1, REAL.fstat(fd, status)); }
static int fault_stat(const char *path, struct stat *status) { FAIL_OR(FAULT_STATUS, -1, REAL.stat(path, status)); }
static int fault_access(const char *path, int mode) { FAIL_OR(FAULT_STATUS, -1, REAL.access(path, mode)); }
static char *fault_realpath(const char *path, char *to) { FAIL_OR(FAULT_STATUS, NULL, REAL.realpath(path, to)); }
static int fault_flock(int fd, int operation) { FAIL_OR(FAULT_LOCK, -1, REAL.flock(fd, operation)); }
static int fault_mkdir(const char *path, mode_t mode) { FAIL_OR(FAULT_FOLDER, -1, REAL.mkdir(path, mode)); }
static DIR *fault_opendir(const char *path) { FAIL_OR(FAULT_FOLDER, NULL, REAL.opendir(path)); }
static struct dirent *fault_readdir(DIR *folder) { FAIL_OR(FAULT_FOLDER, NULL, REAL.readdir(folder)); }

static const tread_file_system faulty = {
    .open = fault_open,
    .read = fault_read,
    .pread = fault_pread,
    .write = fault_write,
    .fallocate = fault_fallocate,
    .fchmod = fault_fchmod,
    .fsync = fault_fsync,
    .close = fault_close,
    .flock = fault_flock,
    .fstat = fault_fstat,
    .stat = fault_stat,
    .access = fault_access,
    .realpath = fault_realpath,
    .link = fault_link,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .mkdir = fault_mkdir,
    .opendir = fault_opendir,
    .readdir = fault_readdir,
    .closedir = closedir,
};

void fault_begin(void) {
    fault_plan(FAULT_ANY, 0, 0, false);
    tread_file_system_set(&faulty);
}

void fault_plan(fault_kind kind, int n, int reason, bool lasting) {
    atomic_store(&left, 0);
    atomic_store(&stays, false);
    atomic_store(&planned_kind, (int)kind);
    atomic_store(&planned_reason, reason);
    atomic_store(&happened, false);
    atomic_store(&left, n);
    atomic_store(&stays, lasting && n > 0);
}

bool fault_happened(void) { return atomic_load(&happened); }
void fault_end(void) { tread_file_system_set(NULL); }
