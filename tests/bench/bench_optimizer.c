/* Times optimizer steps against the machine's memory and against flat arrays.
 *
 * For each layout of parameters and each kind of step, these take turns in each round, at each number of threads: the
 * step; where the layout is of many tensors, the same step over one flat tensor of that size; and "rmw", a[i] *= c over
 * one array of that size. So a step's share of the bandwidth, and how much longer it takes than over a flat tensor, are
 * ratios within a round, and so is how much longer "adam_clip", by the norm of all gradients, takes than "adam";
 * figures are medians over the rounds. "traffic" does no more than Adam's loads and stores, "loop" is Adam as one
 * writes it by hand over flat arrays, in fixed shares of the threads. Bytes a parameter: each array read, and each
 * written, once. Last, Adam on a table of 100 000 rows of which a batch touches 256. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/optimizer.h>
#include <tread/sparse_grad.h>

#include "core/isa.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "tests/bench/bench.h"

#define MAX_ROUNDS 1001
#define ROUND_SECONDS 0.001

static void check(bool fine) { bench_must(fine, "step"); }

typedef struct kind {
    const char *name;
    const char *spec; /* NULL: a loop of this file */
    int bytes;        /* a parameter */
    bool clips;
} kind;

static const kind kinds[] = {
    {.name = "traffic", .bytes = 28},
    {.name = "loop", .bytes = 28},
    {.name = "adam", .spec = "adam:lr=1e-6", .bytes = 28},
    {.name = "adam_clip", .spec = "adam:lr=1e-6", .bytes = 32, .clips = true}, /* behind adam */
    {.name = "amsgrad", .spec = "adam:lr=1e-6,amsgrad=true", .bytes = 36},
    {.name = "adamw", .spec = "adamw:lr=1e-6,weight_decay=0.01", .bytes = 28},
    {.name = "sgd", .spec = "sgd:lr=1e-6", .bytes = 12},
    {.name = "sgd_momentum", .spec = "sgd:lr=1e-6,momentum=0.9", .bytes = 20},
    {.name = "adagrad", .spec = "adagrad:lr=1e-6", .bytes = 20},
    {.name = "rmsprop", .spec = "rmsprop:lr=1e-6", .bytes = 20},
    {.name = "lamb", .spec = "lamb:lr=1e-6", .bytes = 40},
    {.name = "adadelta", .spec = "adadelta:lr=1e-6", .bytes = 28},
    {.name = "adamax", .spec = "adamax:lr=1e-6", .bytes = 28},
    {.name = "nadam", .spec = "nadam:lr=1e-6", .bytes = 28},
    {.name = "radam", .spec = "radam:lr=1e-6", .bytes = 28},
    {.name = "lion", .spec = "lion:lr=1e-6", .bytes = 20},
    {.name = "schedule_free_adamw", .spec = "schedule_free_adamw:lr=1e-6", .bytes = 28},
};
#define ALL_KINDS                                                                                                      \
    "traffic,loop,adam,adam_clip,amsgrad,adamw,sgd,sgd_momentum,adagrad,rmsprop,lamb,adadelta,adamax,nadam,radam,"     \
    "lion,"                                                                                                            \
    "schedule_free_adamw"
#define ALL_LAYOUTS "784-512-256-10,2.56 M flat,10000 of 256,10000 apart,64 Mi flat,1000 of 64 Ki"

/* ---- Plain traffic ---- */

typedef struct arrays {
    float *x, *m, *v;
    const float *g;
    float *own; /* rmw's: over x it would leave that in the cache for the steps over x, and not for those over others */
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

/* Adam as one writes it by hand over flat arrays. */
TREAD_KERNEL_BODY void TREAD_BODY(loop)(float *px, const float *pg, float *pm, float *pv, int64_t n) {
    float *restrict x = px, *restrict m = pm, *restrict v = pv;
    const float *restrict g = pg;
    for (int64_t i = 0; i < n; i++) {
        m[i] = 0.9f * m[i] + 0.1f * g[i];
        v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
        x[i] -= 1e-6f * (m[i] * 1.1f) / (sqrtf(v[i] * 1.001f) + 1e-8f);
    }
}
TREAD_KERNEL(loop, (float *x, const float *g, float *m, float *v, int64_t n), (x, g, m, v, n))

static void rmw_range(void *argument, int64_t begin, int64_t end) {
    const arrays *a = argument;
    TREAD_CALL(rmw)(a->own + begin, end - begin);
}
static void traffic_range(void *argument, int64_t begin, int64_t end) {
    const arrays *a = argument;
    TREAD_CALL(traffic)(a->x + begin, a->g + begin, a->m + begin, a->v + begin, end - begin);
}
static void loop_range(void *argument, int64_t begin, int64_t end) {
    const arrays *a = argument;
    TREAD_CALL(loop)(a->x + begin, a->g + begin, a->m + begin, a->v + begin, end - begin);
}

/* ---- One layout ---- */

typedef struct layout {
    const char *name;
    const int64_t *sizes; /* NULL: `count` tensors of `size` */
    int64_t size;
    size_t count;
    int rounds;
    bool apart; /* each tensor in memory of its own, instead of all in a model's block */
} layout;

typedef struct block {
    tread_parameter **items;
    size_t count;
    tread_parameter_block memory;
    bool is_apart;
} block;

static block create_block(const layout *l) {
    block b = {.items = calloc(l->count, sizeof(tread_parameter *)), .count = l->count};
    check(b.items != NULL);
    for (size_t i = 0; i < l->count; i++) {
        b.items[i] = tread_parameter_create(NULL, 1, l->sizes != NULL ? &l->sizes[i] : &l->size);
        check(b.items[i] != NULL);
    }
    b.is_apart = l->apart;
    if (!b.is_apart)
        check(tread_parameter_block_create(b.items, b.count, &b.memory) == TREAD_OK);
    for (size_t i = 0; i < l->count; i++) {
        int64_t n = l->sizes != NULL ? l->sizes[i] : l->size;
        for (int64_t e = 0; e < n; e++)
            ((float *)b.items[i]->grad.data)[e] = (float)(e % 1001 - 500) * 1e-4f;
        b.items[i]->tensor.grad_state = TREAD_GRAD_DENSE;
    }
    return b;
}

static void destroy_block(block *b) {
    for (size_t i = 0; i < b->count && b->is_apart; i++)
        tread_parameter_destroy(b->items[i]);
    if (b->count > 0 && !b->is_apart)
        tread_parameter_block_destroy(&b->memory);
    free(b->items);
}

/* What takes turns. */
typedef struct contestant {
    const kind *kind; /* NULL: rmw */
    tread_context *context;
    tread_optimizer *optimizer;
    int repeats;
    double seconds[MAX_ROUNDS];
} contestant;

static void run(const contestant *c, arrays *a) {
    if (c->optimizer != NULL) {
        tread_step_options o = tread_step_defaults();
        o.max_norm = c->kind->clips ? 1 : INFINITY;
        check(tread_optimizer_step_with(c->optimizer, NULL, &o, NULL) == TREAD_OK);
        return;
    }
    bool by_hand = c->kind != NULL && strcmp(c->kind->name, "loop") == 0;
    tread_range_fn *body = c->kind == NULL ? rmw_range : by_hand ? loop_range : traffic_range;
    tread_parallel_for(c->context, a->n, 16384, 1024, body, a);
}

static void prepare(contestant *c, const block *b, arrays *a) {
    if (c->kind != NULL && c->kind->spec != NULL) {
        c->optimizer = tread_optimizer_from_spec(c->context, (tread_parameter_list){b->items, b->count}, c->kind->spec);
        check(c->optimizer != NULL);
    }
    run(c, a);
    double start = bench_clock();
    run(c, a);
    double once = bench_clock() - start;
    c->repeats = once > ROUND_SECONDS ? 1 : (int)(ROUND_SECONDS / once);
}

enum { STEP, FLAT, PLAIN, RMW, N_CONTESTANTS }; /* PLAIN: the step without clipping */

/* How much longer `step` takes than another of its round, as a share. */
static void report_longer(json_t *row, const char *name, const contestant *step, const contestant *than, int rounds) {
    static double longer[MAX_ROUNDS];
    for (int r = 0; r < rounds; r++)
        longer[r] = step->seconds[r] / than->seconds[r] - 1;
    bench_summary all = bench_summarize(longer, rounds);
    bench_value(row, name, all);
    printf(" %+9.1f %% %s", 100 * all.median, than->kind->clips == step->kind->clips ? "than flat" : "than unclipped");
}

static void report(bench *b, const layout *l, int64_t n, contestant *all, bool has_flat) {
    static double share[MAX_ROUNDS], seconds[MAX_ROUNDS];
    const contestant *step = &all[STEP];
    for (int r = 0; r < l->rounds; r++) {
        share[r] = step->kind->bytes / 8.0 * all[RMW].seconds[r] / step->seconds[r];
        seconds[r] = step->seconds[r];
    }
    int threads = tread_context_threads(step->context);
    bench_summary time = bench_summarize(seconds, l->rounds), of_rmw = bench_summarize(share, l->rounds);
    json_t *row = bench_row(b, l->name, threads);
    json_object_set_new(row, "step", json_string(step->kind->name));
    json_object_set_new(row, "parameters", json_integer(n));
    json_object_set_new(row, "bytes", json_integer(step->kind->bytes));
    bench_value(row, "step_us", bench_scale(time, 1e6));
    bench_value(row, "parameter_ns", bench_scale(time, 1e9 / (double)n));
    bench_value(row, "gb_per_second", bench_rate(time, 1e-9 * step->kind->bytes * (double)n));
    bench_value(row, "rmw_share", of_rmw);
    printf("%-15s %-19s %7d %10.1f %9.3f %8.1f %7.0f %%", l->name, step->kind->name, threads, 1e6 * time.median,
           1e9 * time.median / (double)n, 1e-9 * step->kind->bytes * (double)n / time.median, 100 * of_rmw.median);
    if (has_flat)
        report_longer(row, "longer_than_flat_share", step, &all[FLAT], l->rounds);
    if (step->kind->clips)
        report_longer(row, "longer_than_unclipped_share", step, &all[PLAIN], l->rounds);
    putchar('\n');
    fflush(stdout);
}

static void measure(bench *b, const layout *l, const kind *k, tread_context *const *contexts, int n_contexts,
                    const block *many, const block *flat, arrays *a, int64_t n) {
    static contestant all[16][N_CONTESTANTS];
    const bool there[N_CONTESTANTS] = {true, flat->count > 0 && k->spec != NULL, k->clips, true};
    for (int t = 0; t < n_contexts; t++)
        for (int i = 0; i < N_CONTESTANTS; i++) {
            all[t][i].kind = i == RMW ? NULL : i == PLAIN ? k - 1 : k;
            all[t][i].context = contexts[t];
            all[t][i].optimizer = NULL;
            if (there[i])
                prepare(&all[t][i], i == FLAT ? flat : many, a);
        }
    for (int t = 0; t < n_contexts;
         t++) { /* steps that are compared: what is done again finds its arrays in the cache */
        int repeats = all[t][STEP].repeats;
        for (int i = FLAT; i <= PLAIN; i++)
            repeats = there[i] && all[t][i].repeats > repeats ? all[t][i].repeats : repeats;
        for (int i = STEP; i <= PLAIN; i++)
            all[t][i].repeats = repeats;
    }
    for (int round = 0; round < l->rounds; round++)
        for (int t = 0; t < n_contexts; t++)
            for (int i = 0; i < N_CONTESTANTS; i++) {
                int who = (i + round) % N_CONTESTANTS; /* who begins changes */
                contestant *c = &all[t][who];
                double start = bench_clock();
                for (int r = 0; there[who] && r < c->repeats; r++)
                    run(c, a);
                c->seconds[round] = (bench_clock() - start) / (there[who] ? c->repeats : 1);
            }
    for (int t = 0; t < n_contexts; t++) {
        report(b, l, n, all[t], there[FLAT]);
        for (int i = 0; i < N_CONTESTANTS; i++)
            tread_optimizer_destroy(all[t][i].optimizer);
    }
}

static void measure_layout(bench *b, const layout *l, const char *steps, tread_context *const *contexts,
                           int n_contexts) {
    int64_t n = 0;
    for (size_t i = 0; i < l->count; i++)
        n += l->sizes != NULL ? l->sizes[i] : l->size;
    block many = create_block(l), flat = {0};
    if (l->count > 1)
        flat = create_block(&(layout){.size = n, .count = 1});
    const block *arrays_of = many.is_apart ? &flat : &many;
    int64_t floats = (int64_t)arrays_of->memory.n_floats;
    tread_tensor *m = tread_tensor_create(TREAD_FLOAT32, 1, &floats);
    tread_tensor *v = tread_tensor_create(TREAD_FLOAT32, 1, &floats);
    tread_tensor *own = tread_tensor_create(TREAD_FLOAT32, 1, &n);
    check(m != NULL && v != NULL && own != NULL);
    arrays a = {.x = arrays_of->memory.data,
                .m = tread_tensor_float(m),
                .v = tread_tensor_float(v),
                .g = arrays_of->memory.grad,
                .own = tread_tensor_float(own),
                .n = n};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (bench_listed(steps, kinds[k].name))
            measure(b, l, &kinds[k], contexts, n_contexts, &many, &flat, &a, n);
    tread_tensor_destroy(m);
    tread_tensor_destroy(v);
    tread_tensor_destroy(own);
    destroy_block(&many);
    destroy_block(&flat);
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
static void measure_sparse(bench *b, tread_context *context, int rounds) {
    static const char *const names[] = {"adam, whole table", "adam, same 256 rows", "adam, new 256 rows",
                                        "adam, 16384 values"};
    static double seconds[4][MAX_ROUNDS];
    static int32_t indices[TOUCHED];
    static float rows[TOUCHED * TABLE_WIDTH];
    tread_parameter *items[4];
    tread_optimizer *optimizers[4];
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
        optimizers[k] = tread_optimizer_from_spec(context, (tread_parameter_list){&items[k], 1}, "adam:lr=1e-6");
        check(optimizers[k] != NULL);
    }
    for (int round = -1; round < rounds; round++)
        for (int k = WHOLE; k <= AS_MANY_VALUES; k++) {
            const int repeats = k == WHOLE ? 1 : 50;
            double start = bench_clock();
            for (int r = 0; r < repeats; r++) {
                if (k == NEW_ROWS) {
                    choose_rows(repeats * round + r, indices);
                    check(tread_tensor_set_sparse_grad(&items[k]->tensor, TOUCHED, indices, rows) == TREAD_OK);
                }
                check(tread_optimizer_step(optimizers[k], NULL) == TREAD_OK);
            }
            seconds[k][round < 0 ? 0 : round] = (bench_clock() - start) / repeats;
        }
    for (int k = WHOLE; k <= AS_MANY_VALUES; k++) {
        bench_summary us = bench_scale(bench_summarize(seconds[k], rounds), 1e6);
        int threads = tread_context_threads(context);
        printf("%-15s %-21s %d %9.1f\n", "100000 x 64", names[k], threads, us.median);
        json_t *row = bench_row(b, "100000 x 64", threads);
        json_object_set_new(row, "step", json_string(names[k]));
        bench_value(row, "step_us", us);
        tread_optimizer_destroy(optimizers[k]);
        tread_parameter_destroy(items[k]);
    }
}

int main(int argc, char **argv) {
    bench_counts threads = {{1, 2}, 2};
    int64_t rounds = 11, mebi = 64;
    const char *layouts = NULL, *steps = NULL;
    bool no_sparse = false;
    const bench_option options[] = {
        {"threads", BENCH_COUNTS, &threads, "LIST", "at each of these", 1, 1024},
        {"layouts", BENCH_TEXT, &layouts, "LIST", "only these of " ALL_LAYOUTS, 0, 0},
        {"steps", BENCH_TEXT, &steps, "LIST", "only these of " ALL_KINDS, 0, 0},
        {"rounds", BENCH_COUNT, &rounds, "N", "rounds; 10 times as many of what takes microseconds", 1,
         MAX_ROUNDS / 10},
        {"mebi", BENCH_COUNT, &mebi, "N", "size of the two largest layouts, in Mi", 1, 1024},
        {"no-sparse", BENCH_FLAG, &no_sparse, NULL, "leave out the table with sparse gradients", 0, 0},
        {0},
    };
    bench *b =
        bench_begin(argc, argv, "Times optimizer steps against the machine's memory and against flat arrays.", options);
    bench_check_list("layouts", layouts, ALL_LAYOUTS);
    bench_check_list("steps", steps, ALL_KINDS);
    static const int64_t network[] = {401408, 512, 131072, 256, 2560, 10};
    const layout all[] = {
        {"784-512-256-10", network, 0, 6, 10 * (int)rounds, false},
        {"2.56 M flat", NULL, 2560000, 1, (int)rounds, false},
        {"10000 of 256", NULL, 256, 10000, (int)rounds, false},
        {"10000 apart", NULL, 256, 10000, (int)rounds, true},
        {"64 Mi flat", NULL, mebi << 20, 1, (int)rounds, false},
        {"1000 of 64 Ki", NULL, 65536, (size_t)mebi * 1000 / 64, (int)rounds, false},
    };
    tread_context *contexts[16];
    for (int t = 0; t < threads.n; t++)
        contexts[t] = bench_context((int)threads.values[t]);
    printf("%-15s %-19s %7s %10s %9s %8s %9s %12s\n", "layout", "step", "threads", "us", "ns/value", "GB/s", "of rmw",
           "longer");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (bench_listed(layouts, all[i].name))
            measure_layout(b, &all[i], steps, contexts, threads.n);
    for (int t = 0; t < threads.n && !no_sparse; t++)
        measure_sparse(b, contexts[t], 10 * (int)rounds);
    for (int t = 0; t < threads.n; t++)
        tread_context_destroy(contexts[t]);
    return bench_end(b);
}
