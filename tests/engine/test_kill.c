/* Runs that are killed at random moments, in the middle of writes too, and started again until they are done: their
 * last state has the bits of the run that nothing interrupted. TREAD_KILLS: how many kills [1000]; TREAD_KILL_SEED: of
 * the moments [1]. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <tread/random.h>
#include <unistd.h>

#include "tests/engine/files.h"
#include "tests/engine/run_case.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

enum { MARKS = 3, HASH_DIGITS = 16, MAX_CASES = 64, LONGEST_US = 30000, LONGER_US = 500, WRITE_US = 2000 };
extern char **environ;

typedef struct ending {
    bool killed;
    char hash[HASH_DIGITS + 1]; /* where it was not */
} ending;

static int64_t from_environment(const char *name, int64_t value) {
    const char *text = getenv(name);
    return text != NULL && atoll(text) > 0 ? atoll(text) : value;
}

/* What the last child had to say; a suite says something when all went well, too. */
static int report = -1;

static const char *report_text(void) {
    static char text[4096];
    ssize_t n = pread(report, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static pid_t start(size_t number, int threads, const char *folder, bool background, int *ret_pipe) {
    char case_text[24], threads_text[16], *program = getenv("TREAD_KILL_CHILD");
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    ck_assert_msg(program != NULL, "TREAD_KILL_CHILD must name the program kill_child");
    snprintf(case_text, sizeof case_text, "%zu", number);
    snprintf(threads_text, sizeof threads_text, "%d", threads);
    char mode[16], path[4096];
    snprintf(mode, sizeof mode, "%s", background ? "background" : "sync");
    snprintf(path, sizeof path, "%s", folder);
    char *const arguments[] = {program, case_text, threads_text, path, mode, NULL};
    if (report < 0)
        report = memfd_create("report", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(report, 0), 0);
    lseek(report, 0, SEEK_SET);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], MARKS);
    posix_spawn_file_actions_adddup2(&actions, report, STDOUT_FILENO);
    ck_assert_int_eq(posix_spawn(&child, program, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *ret_pipe = ends[0];
    return child;
}

static void sleep_us(int64_t us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Waits for so many marks of checkpoints that begin; what else comes is kept. */
static void await_marks(int from, uint32_t marks, char *text, size_t size) {
    size_t n = strlen(text);
    char c;
    while (marks > 0 && read(from, &c, 1) == 1) {
        marks -= c == '+';
        if (c != '+' && n + 1 < size)
            text[n++] = c;
    }
    text[n] = '\0';
}

/* moment: drawn anew for each kill; NULL: it is left alone. */
static ending let_run(size_t number, int threads, const char *folder, bool background, tread_rng *moment,
                      uint32_t longest_us) {
    char text[64] = "";
    int from, status;
    pid_t child = start(number, threads, folder, background, &from);
    if (moment != NULL && tread_rng_below(moment, 2) == 0) {
        sleep_us(tread_rng_below(moment, longest_us));
    } else if (moment != NULL) { /* while it writes */
        await_marks(from, 1 + tread_rng_below(moment, 4), text, sizeof text);
        sleep_us(tread_rng_below(moment, WRITE_US));
    }
    if (moment != NULL)
        kill(child, SIGKILL);
    await_marks(from, UINT32_MAX, text, sizeof text);
    close(from);
    while (waitpid(child, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    ending e = {.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL};
    ck_assert_msg(e.killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "case %zu ended with status %#x: %s",
                  number, (unsigned)status, report_text());
    if (!e.killed) {
        ck_assert_msg(text[0] == '=' && strlen(text) == HASH_DIGITS + 1, "case %zu: \"%s\"", number, text);
        memcpy(e.hash, text + 1, HASH_DIGITS + 1);
    }
    return e;
}

START_TEST(killed_anywhere_it_ends_with_the_same_bits) {
    const int64_t wanted = from_environment("TREAD_KILLS", 1000);
    static char expected[MAX_CASES][HASH_DIGITS + 1];
    tread_rng moment = tread_rng_create((uint64_t)from_environment("TREAD_KILL_SEED", 1), 0);
    int64_t kills = 0, runs = 0, within_writes = 0;
    ck_assert_uint_le(run_case_count(), MAX_CASES);
    while (kills < wanted || runs < (int64_t)(4 * run_case_count())) {
        const size_t number = (size_t)runs % run_case_count();
        const int64_t round = runs / (int64_t)run_case_count();
        const int threads = 1 + (int)(round % 2);
        const bool background = round / 2 % 2 == 1;
        char folder[4096];
        snprintf(folder, sizeof folder, "%s", test_folder_create());
        if (expected[number][0] == '\0')
            memcpy(expected[number], let_run(number, 1, "-", false, NULL, 0).hash, HASH_DIGITS + 1);
        ending e = {.killed = true};
        for (int tries = 0; e.killed; tries++) {
            /* Only a run that is never left alone could be killed for ever. */
            const int left_before = files_with(folder, ".tmp");
            e = let_run(number, threads, folder, background, tries < 200 && kills < wanted ? &moment : NULL,
                        LONGEST_US + (uint32_t)tries * LONGER_US); /* on a busy machine it takes longer to begin */
            kills += e.killed;
            within_writes += e.killed && files_with(folder, ".tmp") > left_before;
        }
        ck_assert_msg(strcmp(e.hash, expected[number]) == 0,
                      "case %zu (%s) on %d threads, %s: %s instead of %s after %lld kills in all", number,
                      run_case_at(number).optimizer, threads, background ? "background" : "sync", e.hash,
                      expected[number], (long long)kills);
        test_folder_remove();
        runs++;
    }
    printf("%lld kills, %lld of them within a write, in %lld runs: 0 differences\n", (long long)kills,
           (long long)within_writes, (long long)runs);
    ck_assert_int_ge(kills, wanted);
    ck_assert_int_gt(within_writes, wanted / 100);
}
END_TEST

TEST_MAIN("kill", killed_anywhere_it_ends_with_the_same_bits)
