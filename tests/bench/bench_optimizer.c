/* Times optimizer steps against the machine's memory:
 *     bench_optimizer [THREADS [ROUNDS [MEBI]]]
 * For each layout (the parameters of 784-512-256-10, one tensor of MEBI Mi floats, many equal ones) every optimizer and
 * two loops of plain memory traffic take turns in each round, at 1 and at THREADS threads; the figure is the median.
 * "rmw" is a[i] *= c over one array; "adam traffic" does no more than Adam's loads and stores: three arrays read and
 * written, one read. Bytes a parameter: each array read, and each written, once. Set GOMP_SPINCOUNT=1000 on a shared
 * machine. Last, Adam on a table of 100 000 rows of which a batch touches 256. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tread/optimizer.h>
#include <tread/sparse_grad.h>

#include "core/isa.h"
#include "core/parallel.h"
#include "core/tensor.h"

#define MAX_ROUNDS 1001
#define MAX_VARIANTS 16
#define ROUND_SECONDS 0.001

typedef struct variant {
    const char *name;
    const char *spec; /* NULL: a loop of plain traffic */
    int bytes;
    tread_context *context;
    int threads;
    tread_optimizer *optimizer;
    int repeats;
    double seconds[MAX_ROUNDS];
} variant;

static void check(bool fine) {
    if (!fine) {
        fprintf(stderr, "bench_optimizer: %s\n", tread_last_error());
        exit(EXIT_FAILURE);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* ---- Plain traffic ---- */

typedef struct arrays {
    float *x, *m, *v;
    const float *g;
    int64_t n;
} arrays;

TREAD_KERNEL_BODY void TREAD_BODY(rmw)(float *array, int64_t n) {
    float *restrict x = array;
    for (int64_t i = 0; i < n; i++)
        x[i] *= 0.999f;
}
TREAD_KERNEL(rmw, (float *array, int64_t n), (array, n))

TREAD_KERNEL_BODY void TREAD_BODY(traffic)(float *px, const float *pg, float *pm, float *pv, int64_t n) {
    float *restrict x = px, *restrict m = pm, *restrict v = pv;
    const float *restrict g = pg;
    for (int64_t i = 0; i < n; i++) {
        m[i] *= 0.999f;
        v[i] *= 0.999f;
        x[i] += g[i];
    }
}
TREAD_KERNEL(traffic, (float *x, const float *g, float *m, float *v, int64_t n), (x, g, m, v, n))

static void rmw_range(void *argument, int64_t begin, int64_t end) {
    const arrays *a = argument;
    TREAD_CALL(rmw)(a->x + begin, end - begin);
}
static void traffic_range(void *argument, int64_t begin, int64_t end) {
    const arrays *a = argument;
    TREAD_CALL(traffic)(a->x + begin, a->g + begin, a->m + begin, a->v + begin, end - begin);
}

/* ---- One layout ---- */

static void run(const variant *v, arrays *a) {
    if (v->spec != NULL)
        check(tread_optimizer_step(v->optimizer, NULL) == TREAD_OK);
    else
        tread_parallel_for(v->context, a->n, 16384, 1024, v->bytes == 8 ? rmw_range : traffic_range, a);
}

static void report(const char *layout, variant *v, int rounds, int64_t n) {
    qsort(v->seconds, (size_t)rounds, sizeof(double), compare);
    double median = v->seconds[rounds / 2];
    printf("%-16s %-22s %7d %10.1f %9.3f %8.1f %9.3f\n", layout, v->name, v->threads, 1e6 * median,
           1e9 * median / (double)n, 1e-9 * v->bytes * (double)n / median, 1e9 * v->seconds[0] / (double)n);
    tread_optimizer_destroy(v->optimizer);
    v->optimizer = NULL;
}

static void bench(const char *layout, const int64_t *sizes, size_t count, variant *variants, int n_variants,
                  int rounds) {
    tread_parameter **items = calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = tread_parameter_create(NULL, 1, &sizes[i]);
        check(items[i] != NULL);
    }
    tread_parameter_block block;
    check(tread_parameter_block_create(items, count, &block) == TREAD_OK);
    int64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += sizes[i];
        for (int64_t e = 0; e < sizes[i]; e++)
            ((float *)items[i]->grad.data)[e] = (float)(e % 1001 - 500) * 1e-4f;
        items[i]->tensor.grad_state = TREAD_GRAD_DENSE;
    }
    size_t bytes = (size_t)block.n_floats * sizeof(float) + 64;
    tread_tensor *m = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){(int64_t)bytes / 4});
    tread_tensor *v = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){(int64_t)bytes / 4});
    check(m != NULL && v != NULL);
    arrays a = {block.data, tread_tensor_float(m), tread_tensor_float(v), block.grad, (int64_t)block.n_floats};
    for (int i = 0; i < n_variants; i++) {
        variant *one = &variants[i];
        if (one->spec != NULL) {
            one->optimizer = tread_optimizer_from_spec(one->context, (tread_parameter_list){items, count}, one->spec);
            check(one->optimizer != NULL);
        }
        run(one, &a);
        double start = now();
        run(one, &a);
        double once = now() - start;
        one->repeats = once > ROUND_SECONDS ? 1 : (int)(ROUND_SECONDS / once);
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < n_variants; i++) {
            double start = now();
            for (int r = 0; r < variants[i].repeats; r++)
                run(&variants[i], &a);
            variants[i].seconds[round] = (now() - start) / variants[i].repeats;
        }
    for (int i = 0; i < n_variants; i++)
        report(layout, &variants[i], rounds, n);
    tread_tensor_destroy(m);
    tread_tensor_destroy(v);
    tread_parameter_block_destroy(&block);
    free(items);
}

static void bench_equal(const char *layout, int64_t size, size_t count, variant *variants, int n_variants, int rounds) {
    int64_t *sizes = malloc(count * sizeof *sizes);
    for (size_t i = 0; i < count; i++)
        sizes[i] = size;
    bench(layout, sizes, count, variants, n_variants, rounds);
    free(sizes);
}

/* ---- Sparse gradients ---- */

#define TABLE_ROWS 100000
#define TABLE_WIDTH 64
#define TOUCHED 256

static void choose_rows(int step, int32_t *ret_indices) {
    for (int i = 0; i < TOUCHED; i++)
        ret_indices[i] = (int32_t)((uint32_t)(i % 250 + 1000 * step) * 2654435761u % TABLE_ROWS);
}

typedef enum gradient { WHOLE, SAME_ROWS, NEW_ROWS, AS_MANY_VALUES } gradient;

/* Adam on a table of which a batch touches 256 rows: the same rows again and again; others at each step, shuffled and
 * with duplicates, set and summed too; and for comparison as many values in one dense array, and all of the table. */
static void bench_sparse(tread_context *context, int threads, int rounds) {
    static variant kinds[] = {{.name = "adam, whole table", .bytes = 28},
                              {.name = "adam, same 256 rows", .bytes = 28},
                              {.name = "adam, new 256 rows", .bytes = 28},
                              {.name = "adam, 16384 values", .bytes = 28}};
    static int32_t indices[TOUCHED];
    static float rows[TOUCHED * TABLE_WIDTH];
    tread_parameter *items[4];
    choose_rows(0, indices);
    for (int i = 0; i < TOUCHED * TABLE_WIDTH; i++)
        rows[i] = (float)(i % 1001 - 500) * 1e-4f;
    for (int k = WHOLE; k <= AS_MANY_VALUES; k++) {
        items[k] =
            tread_parameter_create(NULL, 2, (int64_t[]){k == AS_MANY_VALUES ? TOUCHED : TABLE_ROWS, TABLE_WIDTH});
        check(items[k] != NULL);
        if (k == SAME_ROWS || k == NEW_ROWS)
            check(tread_tensor_set_sparse_grad(&items[k]->tensor, TOUCHED, indices, rows) == TREAD_OK);
        else
            check(tread_tensor_set_grad(&items[k]->tensor, &items[k]->tensor) == TREAD_OK);
        kinds[k].threads = threads;
        kinds[k].optimizer = tread_optimizer_from_spec(context, (tread_parameter_list){&items[k], 1}, "adam:lr=1e-6");
        check(kinds[k].optimizer != NULL);
    }
    for (int round = -1; round < rounds; round++)
        for (int k = WHOLE; k <= AS_MANY_VALUES; k++) {
            const int repeats = k == WHOLE ? 1 : 50;
            double start = now();
            for (int r = 0; r < repeats; r++) {
                if (k == NEW_ROWS) {
                    choose_rows(repeats * round + r, indices);
                    check(tread_tensor_set_sparse_grad(&items[k]->tensor, TOUCHED, indices, rows) == TREAD_OK);
                }
                check(tread_optimizer_step(kinds[k].optimizer, NULL) == TREAD_OK);
            }
            kinds[k].seconds[round < 0 ? 0 : round] = (now() - start) / repeats;
        }
    for (int k = WHOLE; k <= AS_MANY_VALUES; k++) {
        report("100000 x 64", &kinds[k], rounds, k == WHOLE ? TABLE_ROWS * TABLE_WIDTH : TOUCHED * TABLE_WIDTH);
        tread_parameter_destroy(items[k]);
    }
}

int main(int argc, char **argv) {
    static const variant kinds[] = {
        {.name = "rmw", .bytes = 8},
        {.name = "adam traffic", .bytes = 28},
        {.name = "adam", .spec = "adam:lr=1e-6", .bytes = 28},
        {.name = "adam amsgrad", .spec = "adam:lr=1e-6,amsgrad=true", .bytes = 36},
        {.name = "sgd", .spec = "sgd:lr=1e-6", .bytes = 12},
        {.name = "sgd momentum", .spec = "sgd:lr=1e-6,momentum=0.9", .bytes = 20},
    };
    enum { N_KINDS = sizeof kinds / sizeof *kinds };
    static variant variants[2 * N_KINDS];
    int threads = argc > 1 ? atoi(argv[1]) : 2, rounds = argc > 2 ? atoi(argv[2]) : 21;
    int64_t mebi = argc > 3 ? atoll(argv[3]) : 64;
    if (threads < 1 || rounds < 1 || rounds > MAX_ROUNDS || mebi < 1) {
        fprintf(stderr, "bench_optimizer [THREADS [ROUNDS (at most %d) [MEBI]]]\n", MAX_ROUNDS);
        return 2;
    }
    int n_variants = 0;
    for (int k = 0; k < N_KINDS; k++)
        for (int t = 0; t < (threads > 1 ? 2 : 1); t++) {
            variant *v = &variants[n_variants++];
            *v = kinds[k];
            tread_context_options o = tread_context_defaults();
            o.threads = v->threads = t == 0 ? 1 : threads;
            v->context = tread_context_create(&o);
            check(v->context != NULL);
        }
    printf("%-16s %-22s %7s %10s %9s %8s %9s\n", "layout", "step", "threads", "us", "ns/value", "GB/s", "fastest");
    int more = rounds <= MAX_ROUNDS / 10 ? 10 * rounds : MAX_ROUNDS; /* of what takes microseconds */
    bench("784-512-256-10", (const int64_t[]){401408, 512, 131072, 256, 2560, 10}, 6, variants, n_variants, more);
    bench_equal("2.56 M flat", 2560000, 1, variants, n_variants, rounds);
    bench_equal("10000 of 256", 256, 10000, variants, n_variants, rounds);
    bench_equal("64 Mi flat", mebi << 20, 1, variants, n_variants, rounds);
    bench_equal("1000 of 64 Ki", 65536, (size_t)mebi * 1000 / 64, variants, n_variants, rounds);
    for (int t = 0; t < (threads > 1 ? 2 : 1); t++)
        bench_sparse(variants[t].context, variants[t].threads, more);
    for (int i = 0; i < n_variants; i++)
        tread_context_destroy(variants[i].context);
    return 0;
}
