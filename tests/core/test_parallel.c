#include "core/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/context.h"
#include "core/dnn.h"
#include "core/memory.h"
#include "tests/test.h"
#include "tread_config.h"

#if TREAD_HAVE_OPENMP
#include <omp.h>
#endif

#define MAX_N 5000

static const int thread_counts[] = {1, 2, 3, 8};
#define N_COUNTS (int)(sizeof thread_counts / sizeof *thread_counts)

static tread_context *context_of(int threads) {
    tread_context_options options = tread_context_defaults();
    options.threads = threads;
    options.backend = TREAD_BACKEND_REF;
    tread_context *context = tread_context_create(&options);
    ck_assert_msg(context != NULL, "%s", tread_last_error());
    return context;
}

/* How often each index was visited, and where pieces began. A piece writes its own indices alone. */
typedef struct visits {
    unsigned char count[MAX_N];
    unsigned char begins[MAX_N];
} visits;

static void visit(void *argument, int64_t begin, int64_t end) {
    visits *v = argument;
    v->begins[begin] = 1;
    for (int64_t i = begin; i < end; i++)
        v->count[i]++;
}

/* Returns the pieces. */
static int check_cut(const tread_context *context, int64_t n, int64_t grain, int64_t align) {
    static visits v;
    memset(&v, 0, sizeof v);
    tread_parallel_for(context, n, grain, align, visit, &v);
    int pieces = 0;
    int64_t wrong = -1; /* one assertion for all: each writes to a file */
    for (int64_t i = 0; i < MAX_N; i++) {
        if (v.count[i] != (i < n) || (v.begins[i] && i % align != 0))
            wrong = i;
        pieces += v.begins[i];
    }
    ck_assert_msg(wrong < 0, "n %d, align %d: index %d was visited %d times and %s a piece", (int)n, (int)align,
                  (int)wrong, v.count[wrong], v.begins[wrong] ? "begins" : "does not begin");
    return pieces;
}

START_TEST(every_index_is_visited_once) {
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 100, 1000, 4097, MAX_N};
    static const int64_t aligns[] = {1, 3, 16, 64};
    for (int c = 0; c < N_COUNTS; c++) {
        tread_context *context = context_of(thread_counts[c]);
        int threads = tread_context_threads(context);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (size_t a = 0; a < sizeof aligns / sizeof *aligns; a++) {
                int pieces = check_cut(context, sizes[s], 1, aligns[a]);
                int64_t units = (sizes[s] + aligns[a] - 1) / aligns[a];
                int64_t expected = sizes[s] < 2 ? units : units < threads ? units : threads;
                ck_assert_int_eq(pieces, expected);
                /* One short of two grains: the calling thread alone. */
                ck_assert_int_le(check_cut(context, sizes[s], sizes[s] / 2 + 1, aligns[a]), 1);
            }
        tread_context_destroy(context);
    }
}
END_TEST

/* A fork costs more where threads must take turns, so that work is worth one later. */
START_TEST(a_crowd_forks_for_more_work) {
    enum { GRAIN = 10, CROWD = TREAD_MAX_THREADS }; /* there are not as many CPUs */
    tread_thread_count_may_be_crowded(true);
    tread_context *crowd = context_of(CROWD), *one = context_of(1);
    tread_thread_count_may_be_crowded(false);
    ck_assert(!one->count.crowded);
    if (tread_context_threads(crowd) > 1) {
        ck_assert(crowd->count.crowded);
        ck_assert_int_eq(check_cut(crowd, 2 * GRAIN * TREAD_CROWDED_GRAINS - 1, GRAIN, 1), 1);
        crowd->count.threads = 3; /* the test is to start no thousand threads */
        ck_assert_int_eq(check_cut(crowd, 2 * GRAIN * TREAD_CROWDED_GRAINS, GRAIN, 1), 3);
    }
    tread_context_destroy(crowd);
    tread_context_destroy(one);
}
END_TEST

START_TEST(no_indices_call_nothing) {
    tread_parallel_for(NULL, 0, 1, 1, visit, NULL);
    tread_parallel_for(NULL, -5, 1, 1, visit, NULL);
}
END_TEST

typedef struct sum_job {
    const float *x;
    int64_t n;
    double partial[TREAD_MAX_CHUNKS];
} sum_job;

static void sum_chunks(void *argument, int64_t begin, int64_t end) {
    sum_job *job = argument;
    int64_t size = tread_chunk_size(job->n);
    for (int64_t c = begin; c < end; c++) {
        double sum = 0;
        for (int64_t i = c * size; i < (c + 1) * size && i < job->n; i++)
            sum += job->x[i];
        job->partial[c] = sum;
    }
}

START_TEST(a_sum_by_chunks_has_the_same_bits_at_every_count) {
    static float x[300001];
    for (int i = 0; i < 300001; i++)
        x[i] = (float)((i * 2654435761U >> 8) % 10007) / 7919 - 0.6F;
    static const int64_t sizes[] = {1, 4096, 4097, 100000, 300001};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        double first = 0;
        ck_assert_int_le(tread_chunk_count(sizes[s]), TREAD_MAX_CHUNKS);
        for (int c = 0; c < N_COUNTS; c++) {
            tread_context *context = context_of(thread_counts[c]);
            static sum_job job;
            job = (sum_job){.x = x, .n = sizes[s]};
            tread_parallel_for(context, tread_chunk_count(job.n), 1, 1, sum_chunks, &job);
            double sum = 0;
            for (int64_t i = 0; i < tread_chunk_count(job.n); i++)
                sum += job.partial[i];
            if (c == 0)
                first = sum;
            ck_assert_mem_eq(&sum, &first, sizeof sum);
            tread_context_destroy(context);
        }
    }
}
END_TEST

/* Chunks that only the first thread does fast. */
typedef struct held_up {
    pthread_t first;
    atomic_int others;
} held_up;

static void hold_up_others(void *argument, int64_t begin, int64_t end) {
    held_up *h = argument;
    for (int64_t i = begin; i < end && !pthread_equal(pthread_self(), h->first); i++) {
        atomic_fetch_add(&h->others, 1);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

/* The fast one takes over what the others have not begun, of the 16 chunks that each has at first. */
START_TEST(who_is_held_up_holds_up_nobody) {
    if (tread_parallel_openmp_version() == 0)
        return;
    tread_context *context = context_of(4);
    held_up h = {.first = pthread_self()};
    tread_parallel_chunks(context, 64, 1, hold_up_others, &h);
    ck_assert_int_lt(h.others, 40); /* 48 if nothing were taken over */
    tread_context_destroy(context);
}
END_TEST

/* Whoever takes it, each chunk is done once; on one thread, and where no fork is wanted, in one piece. */
START_TEST(every_chunk_is_done_once) {
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 16, 63, 64, 65, 1000, MAX_N};
    for (int c = 0; c < N_COUNTS; c++) {
        tread_context *context = context_of(thread_counts[c]);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int fork = 0; fork < 2; fork++)
                for (int repeat = 0; repeat < 20; repeat++) {
                    static visits v;
                    int64_t wrong = 0, pieces = 0;
                    memset(&v, 0, sizeof v);
                    tread_parallel_chunks(context, sizes[s], fork == 1 ? 1 : MAX_N, visit, &v);
                    for (int64_t i = 0; i < MAX_N; i++) {
                        wrong += v.count[i] != (i < sizes[s]);
                        pieces += v.begins[i];
                    }
                    ck_assert_int_eq(wrong, 0);
                    if (fork == 0 || thread_counts[c] == 1)
                        ck_assert_int_eq(pieces, sizes[s] > 0);
                }
        tread_context_destroy(context);
    }
}
END_TEST

START_TEST(chunks_cover_and_are_bounded) {
    static const int64_t sizes[] = {1,
                                    15,
                                    4095,
                                    4096,
                                    4097,
                                    4096 * 256,
                                    1048577,
                                    1234567,
                                    1LL << 31,
                                    (1LL << 31) + 1,
                                    (1LL << 40) + 7,
                                    (1LL << 50) - 1};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t size = tread_chunk_size(sizes[s]), count = tread_chunk_count(sizes[s]);
        ck_assert_int_eq(size % 16, 0); /* so that lanes begin anew at each chunk */
        ck_assert(size >= TREAD_MIN_CHUNK && count >= 1 && count <= TREAD_MAX_CHUNKS);
        ck_assert(size * count >= sizes[s] && size * (count - 1) < sizes[s]);
    }
}
END_TEST

START_TEST(a_region_takes_no_memory) {
    tread_context *context = context_of(8);
    static visits v;
    uint64_t calls = tread_memory_calls();
    tread_parallel_for(context, MAX_N, 1, 1, visit, &v);
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_context_destroy(context);
}
END_TEST

#if TREAD_HAVE_OPENMP
/* All that a host program may have set. */
typedef struct host_settings {
    int max_threads, dynamic, max_active_levels, thread_limit, chunk;
    omp_sched_t schedule;
    omp_proc_bind_t binding;
} host_settings;

static host_settings settings_now(void) {
    host_settings s;
    memset(&s, 0, sizeof s);
    s.max_threads = omp_get_max_threads();
    s.dynamic = omp_get_dynamic();
    s.max_active_levels = omp_get_max_active_levels();
    s.thread_limit = omp_get_thread_limit();
    s.binding = omp_get_proc_bind();
    omp_get_schedule(&s.schedule, &s.chunk);
    return s;
}

/* A matrix product by the back-end that the build prefers: oneDNN is told the count for the call alone. */
static void multiply(int threads) {
    static float a[96 * 96], b[96 * 96], c[96 * 96];
    tread_context_options options = tread_context_defaults();
    options.threads = threads;
    tread_context *context = tread_context_create(&options);
    const tread_gemm_shape shape = {.dtype = TREAD_FLOAT32, .m = 96, .n = 96, .k = 96, .batch = 1};
    tread_gemm *gemm = NULL;
    ck_assert_ok(tread_gemm_create(context, &shape, &gemm));
    ck_assert_ok(tread_gemm_run(gemm, a, b, NULL, c, false));
    tread_gemm_destroy(gemm);
    tread_context_destroy(context);
}

START_TEST(the_host_s_settings_stay) {
    host_settings original = settings_now();
    omp_set_num_threads(5);
    omp_set_schedule(omp_sched_guided, 7);
    host_settings before = settings_now();
    for (int c = 0; c < N_COUNTS; c++) {
        tread_context *context = context_of(thread_counts[c]);
        ck_assert_int_eq(check_cut(context, MAX_N, 1, 1), thread_counts[c]);
        tread_context_destroy(context);
        multiply(thread_counts[c]);
        host_settings after = settings_now();
        ck_assert_mem_eq(&after, &before, sizeof after);
    }
    omp_set_num_threads(original.max_threads);
    omp_set_schedule(original.schedule, original.chunk);
}
END_TEST

START_TEST(the_host_may_allow_fewer_threads) {
    int dynamic = omp_get_dynamic();
    omp_set_dynamic(1); /* libgomp then gives no more threads than CPUs that are idle */
    tread_context *context = context_of(8);
    int pieces = check_cut(context, MAX_N, 1, 1);
    ck_assert(pieces >= 1 && pieces <= 8);
    ck_assert_int_ne(omp_get_dynamic(), 0);
    omp_set_dynamic(dynamic);
    tread_context_destroy(context);
}
END_TEST

/* The caller's own threads call Tread, each with its range; with nesting off inner regions have one thread. */
static void check_nested(int levels) {
    static visits all[4];
    int before = omp_get_max_active_levels();
    memset(all, 0, sizeof all);
    omp_set_max_active_levels(levels);
    tread_context *context = context_of(3);
#pragma omp parallel num_threads(4)
    tread_parallel_for(context, MAX_N, 1, 1, visit, &all[omp_get_thread_num()]);
    ck_assert_int_eq(omp_get_max_active_levels(), levels);
    omp_set_max_active_levels(before);
    for (int t = 0; t < 4; t++) {
        int pieces = 0, once = 0;
        for (int i = 0; i < MAX_N; i++) {
            once += all[t].count[i] == 1;
            pieces += all[t].begins[i];
        }
        ck_assert_int_eq(once, MAX_N);
        ck_assert_int_eq(pieces, levels > 1 ? 3 : 1);
    }
    tread_context_destroy(context);
}

START_TEST(a_call_inside_a_region_of_the_caller_works) {
    check_nested(1);
    check_nested(2);
}
END_TEST

TEST_MAIN("parallel", every_index_is_visited_once, a_crowd_forks_for_more_work, no_indices_call_nothing,
          a_sum_by_chunks_has_the_same_bits_at_every_count, chunks_cover_and_are_bounded, every_chunk_is_done_once,
          who_is_held_up_holds_up_nobody, a_region_takes_no_memory, the_host_s_settings_stay,
          the_host_may_allow_fewer_threads, a_call_inside_a_region_of_the_caller_works)
#else
TEST_MAIN("parallel", every_index_is_visited_once, a_crowd_forks_for_more_work, no_indices_call_nothing,
          a_sum_by_chunks_has_the_same_bits_at_every_count, chunks_cover_and_are_bounded, every_chunk_is_done_once,
          who_is_held_up_holds_up_nobody, a_region_takes_no_memory)
#endif
