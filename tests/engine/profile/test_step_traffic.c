/* Bytes per parameter, held to the code: every array lies in a page of its own that may not be touched, and what then
 * faults is what a step reads and writes. */
#include "engine/profile/step_traffic.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "optim/optimizers_list.h"
#include "tests/optim/helpers.h"
#include "tests/test.h"

#define MAX_ARRAYS (2 + TREAD_MAX_SLOTS)

/* What a page allows grows with each fault. */
static struct {
    char *page;
    volatile int faults; /* 0: untouched; 1: read; 2: written */
} arrays[MAX_ARRAYS];
static size_t page_size;

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    char *at = info->si_addr;
    for (int i = 0; i < MAX_ARRAYS; i++)
        if (at >= arrays[i].page && at < arrays[i].page + page_size && arrays[i].faults < 2) {
            arrays[i].faults++;
            mprotect(arrays[i].page, page_size, arrays[i].faults == 1 ? PROT_READ : PROT_READ | PROT_WRITE);
            return;
        }
    signal(number, SIG_DFL); /* a fault of another kind: once more, and for good */
}

static void forbid(void) {
    for (int i = 0; i < MAX_ARRAYS; i++) {
        arrays[i].faults = 0;
        mprotect(arrays[i].page, page_size, PROT_NONE);
    }
}

static void must_have_been(const char *spec, int pass, tread_traffic expected) {
    int changed = 0, read = 0;
    for (int i = 0; i < MAX_ARRAYS; i++) {
        changed += arrays[i].faults == 2;
        read += arrays[i].faults == 1;
    }
    ck_assert_msg(changed == expected.changed && read == expected.read,
                  "%s, pass %d: the code changes %d arrays and reads %d more, the table says %d and %d", spec, pass,
                  changed, read, expected.changed, expected.read);
}

static void check_spec(const char *spec) {
    const tread_optimizer_type *type;
    void *options;
    ck_assert_ok(tread_optimizer_read_spec(spec, &type, &options));
    const tread_step_traffic traffic = tread_step_traffic_of(type, options);
    ck_assert_msg(traffic.n_passes > 0 || type->solve != NULL || type->whole_tensor != NULL, "%s", spec);
    unsigned char factors[TREAD_MAX_FACTORS] __attribute__((aligned(64)));
    double sums[TREAD_MAX_SUMS] = {0};
    tread_update u = {.n = (int64_t)(page_size / sizeof(float)), .scale = 1};
    tread_progress progress = {.step = 3};
    for (int s = 0; s < type->n_scalars; s++)
        progress.scalars[s] = type->scalars[s].initial;
    u.x = (float *)(void *)arrays[0].page;
    u.g = (float *)(void *)arrays[1].page;
    int held = 2;
    for (int s = 0; s < type->n_slots; s++)
        if (tread_slot_is_needed(&type->slots[s], options))
            u.slots[s] = (float *)(void *)arrays[held++].page;
    ck_assert_int_eq(traffic.arrays, held);
    int bytes = 0;
    if (traffic.n_passes > 0) {
        type->prepare(options, &progress, factors);
        forbid();
        if (type->reduce != NULL) {
            type->reduce(factors, &u, sums);
            must_have_been(spec, 1, traffic.passes[0]);
            type->reduced(options, sums, factors);
            forbid();
        }
        type->update(factors, &u);
        must_have_been(spec, traffic.n_passes, traffic.passes[traffic.n_passes - 1]);
    }
    for (int i = 0; i < traffic.n_passes; i++)
        bytes += 8 * traffic.passes[i].changed + 4 * traffic.passes[i].read;
    ck_assert_int_eq(traffic.bytes, bytes);
    tread_fields_free(&type->table, options);
}

START_TEST(the_table_is_what_the_code_does) {
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    for (int i = 0; i < MAX_ARRAYS; i++) {
        arrays[i].page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(arrays[i].page != MAP_FAILED);
        for (size_t e = 0; e < page_size / sizeof(float); e++)
            ((float *)(void *)arrays[i].page)[e] = (float)(e % 7 + 1) * 0.01f;
    }
    ck_assert_int_eq(sigaction(SIGSEGV, &action, &before), 0);
    for (size_t i = 0; battery_specs[i] != NULL; i++)
        check_spec(battery_specs[i]);
    check_spec("rmsprop:centered=true,momentum=0.9");
    ck_assert_int_eq(sigaction(SIGSEGV, &before, NULL), 0);
    for (int i = 0; i < MAX_ARRAYS; i++)
        munmap(arrays[i].page, page_size);
}
END_TEST

START_TEST(the_known_ones_are_as_published) {
    static const struct {
        const char *spec;
        int bytes, arrays;
    } known[] = {{"sgd", 12, 2},
                 {"sgd:momentum=0.9", 20, 3},
                 {"adam", 28, 4},
                 {"adam:amsgrad=true", 36, 5},
                 {"adamw", 28, 4},
                 {"adagrad", 20, 3},
                 {"rmsprop", 20, 3},
                 {"lion", 20, 3},
                 {"schedule_free_sgd", 20, 3},
                 {"nadam", 28, 4},
                 {"radam", 28, 4},
                 {"adamax", 28, 4},
                 {"adadelta", 28, 4},
                 {"schedule_free_adamw", 28, 4},
                 {"adamw:amsgrad=true", 36, 5},

                 {"lamb", 40, 4},
                 {"lamb:amsgrad=true", 48, 5},
                 {"muon", 0, 3},
                 {"muon:rule=adamw", 28, 4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const tread_optimizer_type *type;
        void *options;
        ck_assert_ok(tread_optimizer_read_spec(known[i].spec, &type, &options));
        const tread_step_traffic traffic = tread_step_traffic_of(type, options);
        ck_assert_msg(traffic.bytes == known[i].bytes && traffic.arrays == known[i].arrays, "%s: %d bytes, %d arrays",
                      known[i].spec, traffic.bytes, traffic.arrays);
        ck_assert_int_le(traffic.passes[0].changed, TREAD_TRAFFIC_CHANGED);
        tread_fields_free(&type->table, options);
    }
}
END_TEST

TEST_MAIN("profile step traffic", the_known_ones_are_as_published, the_table_is_what_the_code_does)
