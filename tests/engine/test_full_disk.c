/* Real refusals of the system: a full file system, a file size limit, folders and media that cannot be written. What
 * needs rights or a mount is tried in a child; where those are not to be had, the test says that it left that out. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <unistd.h>

#include "engine/file_system.h"
#include "tests/engine/files.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

enum { LEFT_OUT = 77, NOBODY = 65534 };

static tread_checkpoint_series *open_series(bool background, bool read_only) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.keep = 2;
    o.best = TREAD_BEST_MIN;
    o.background = background;
    o.read_only = read_only;
    return tread_checkpoint_series_open(test_path("disk/run"), &o);
}

static tread_status save(tread_checkpoint_series *series, int64_t step, int64_t n_values) {
    tread_state *state = series_state_sized(step, n_values);
    tread_status status = tread_checkpoint_series_save(series, step, state, 1.0 / (double)step);
    tread_state_destroy(state);
    return status == TREAD_OK ? tread_checkpoint_series_wait(series) : status;
}

static int64_t latest(tread_checkpoint_series *series) {
    tread_state *state = NULL;
    int64_t found = -2;
    if (tread_checkpoint_series_latest(series, &state, NULL) == TREAD_OK &&
        tread_checkpoint_series_rejected(series, 0) == NULL)
        found = state == NULL ? -1 : series_step_of(state);
    tread_state_destroy(state);
    return found;
}

static void clean_up(void) {
    chmod(test_path("disk/run"), 0777);
    for (int step = 1; step < 100; step++) {
        char name[64];
        snprintf(name, sizeof name, "disk/run/step-%012d.safetensors", step);
        unlink(test_path(name));
    }
    unlink(test_path("disk/run/best.safetensors"));
    unlink(test_path("disk/run/.lock"));
    rmdir(test_path("disk/run"));
    rmdir(test_path("disk"));
    test_folder_remove();
}

/* Fails the child, saying where. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: \"%s\"\n", __FILE__, __LINE__, #condition, tread_last_error());                \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)
#define EXPECT_IO(expression, part) EXPECT((expression) == TREAD_ERROR_IO && strstr(tread_last_error(), part) != NULL)

static void in_a_child(void (*body)(void), const char *what) {
    test_folder_create();
    ck_assert_int_eq(mkdir(test_path("disk"), 0777), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "%s: ended by signal %d", what, WTERMSIG(status));
    if (WEXITSTATUS(status) == LEFT_OUT)
        printf("left out, since this process may not do it: %s\n", what);
    else
        ck_assert_msg(WEXITSTATUS(status) == 0, "%s: see above", what);
    clean_up();
}

static void mount_small(const char *options) {
    bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount("tread_test", test_path("disk"), "tmpfs", 0, options) == 0;
    if (!mounted)
        _exit(LEFT_OUT);
}

static int cannot_reserve(int fd, off_t n) {
    (void)fd;
    (void)n;
    errno = EOPNOTSUPP;
    return -1;
}

/* 64 KiB: one checkpoint of 20 KB fits, and another while the first stays, but not a third. */
static void fill_up(void) {
    mount_small("size=64k");
    for (int reserves = 0; reserves < 2; reserves++) {
        tread_file_system files = tread_file_system_default;
        if (!reserves)
            files.fallocate = cannot_reserve;
        tread_file_system_set(&files);
        for (int background = 0; background < 2; background++) {
            tread_checkpoint_series *series = open_series(background, false);
            EXPECT(series != NULL);
            int64_t first = latest(series) < 0 ? 0 : latest(series);
            EXPECT(save(series, first + 1, 4000) == TREAD_OK);
            EXPECT_IO(save(series, first + 2, 40000),
                      reserves ? "cannot reserve space: No space left" : "cannot write: No space left");
            EXPECT(latest(series) == first + 1);
            EXPECT(files_with(test_path("disk/run"), ".tmp") == 0);
            EXPECT(save(series, first + 2, 400) == TREAD_OK); /* what the failed one took is free again */
            EXPECT(save(series, first + 3, 400) == TREAD_OK);
            EXPECT(latest(series) == first + 3);
            tread_checkpoint_series_destroy(series);
        }
    }
}

/* No file more, where second names count too: the mount's own folder, the series', the lock, a checkpoint, the best. */
static void no_more_files(void) {
    mount_small("size=1m,nr_inodes=5");
    tread_checkpoint_series *series = open_series(false, false);
    EXPECT(series != NULL);
    EXPECT(save(series, 1, 10) == TREAD_OK);
    EXPECT_IO(save(series, 2, 10), "cannot create: No space left");
    EXPECT(latest(series) == 1);
    tread_checkpoint_series_destroy(series);
}

static void read_only_medium(void) {
    mount_small("size=1m");
    tread_checkpoint_series *series = open_series(false, false);
    EXPECT(series != NULL && save(series, 1, 10) == TREAD_OK);
    tread_checkpoint_series_destroy(series);
    EXPECT(mount(NULL, test_path("disk"), NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    EXPECT(open_series(false, false) == NULL && strstr(tread_last_error(), ".lock: cannot open: Read-only") != NULL);
    series = open_series(false, true);
    EXPECT(series != NULL && latest(series) == 1);
    tread_checkpoint_series_destroy(series);
    tread_state *state = series_state(1);
    EXPECT_IO(tread_checkpoint_save(test_path("disk/one"), state), "cannot create: Read-only");
    tread_state_destroy(state);
}

START_TEST(a_full_file_system) {
    in_a_child(fill_up, "a small file system, mounted");
    in_a_child(no_more_files, "a file system with few files, mounted");
    in_a_child(read_only_medium, "a file system that is read only, mounted");
}
END_TEST

/* Root may write anywhere: somebody else tries. */
static void folder_of_others(void) {
    tread_checkpoint_series *series = open_series(false, false);
    EXPECT(series != NULL && save(series, 1, 10) == TREAD_OK);
    EXPECT(chmod(test_path("."), 0755) == 0 && chmod(test_path("disk/run"), 0555) == 0);
    bool root = geteuid() == 0;
    if (root && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(LEFT_OUT);
    if (access(test_path("disk/run/.lock"), R_OK) != 0) /* a parent of the test's folder is closed */
        _exit(LEFT_OUT);
    EXPECT_IO(save(series, 2, 10), "cannot create: Permission denied");
    EXPECT(latest(series) == 1 && files_with(test_path("disk/run"), "") == 3);
    tread_checkpoint_series_destroy(series);
    series = open_series(false, true);
    EXPECT(series != NULL && latest(series) == 1);
    tread_checkpoint_series_destroy(series);
    series = open_series(false, false);
    EXPECT(!root || series == NULL); /* the lock file is root's */
    tread_checkpoint_series_destroy(series);
}

START_TEST(a_folder_that_cannot_be_written) { in_a_child(folder_of_others, "the rights of another user"); }
END_TEST

/* The signal that comes with the limit would end a process that is not prepared; the background's thread blocks it. */
static void size_limit(void) {
    for (int background = 0; background < 2; background++) {
        signal(SIGXFSZ, background ? SIG_DFL : SIG_IGN);
        tread_checkpoint_series *series = open_series(background, false);
        EXPECT(series != NULL && save(series, 2 * background + 1, 1000) == TREAD_OK);
        struct rlimit before, small;
        getrlimit(RLIMIT_FSIZE, &before);
        for (rlim_t limit = 100; limit < 4000; limit += 700) {
            small = (struct rlimit){limit, before.rlim_max};
            setrlimit(RLIMIT_FSIZE, &small);
            tread_status status = save(series, 2 * background + 2, 1000);
            setrlimit(RLIMIT_FSIZE, &before);
            EXPECT_IO(status, "cannot reserve space: File too large");
            EXPECT(latest(series) == 2 * background + 1 && files_with(test_path("disk/run"), ".tmp") == 0);
        }
        EXPECT(save(series, 2 * background + 2, 1000) == TREAD_OK);
        tread_checkpoint_series_destroy(series);
    }
}

START_TEST(a_file_size_limit) { in_a_child(size_limit, "a file size limit"); }
END_TEST

TEST_MAIN("full_disk", a_full_file_system, a_folder_that_cannot_be_written, a_file_size_limit)
