/* Times operations forward and backward at typical shapes, in nanoseconds.
 * An operation is timed as a program meets it, through the tape: forward is
 * reset and the call; backward is that with tread_backward_from less forward. "frame" is an operation that does nothing
 * (detach, of one element): what the tape itself costs. Figures are medians over rounds, in which all rows alternate,
 * since other programs disturb; the rate is elements of the first input by time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/ops.h>

#include "tests/bench/bench.h"

#define MAX_ROWS 64
#define MAX_ROUNDS 1001
#define ROUND_SECONDS 0.0005

typedef struct row {
    const char *name;
    int64_t n, m; /* the first input is (n, m) */
    tread_tensor *(*apply)(tread_tape *tape, tread_tensor *const *x);
    tread_tape *tape;
    tread_tensor *x[3]; /* (n, m), (n, m), (m) */
    tread_tensor *labels, *grad;
    int repeats;
    double forward[MAX_ROUNDS], both[MAX_ROUNDS];
} row;

static tread_tensor *labels; /* of the row that runs */

#define OP(name, call)                                                                                                 \
    static tread_tensor *apply_##name(tread_tape *tape, tread_tensor *const *x) { return call; }
OP(frame, tread_detach(tape, x[0]))
OP(add, tread_add(tape, x[0], x[1]))
OP(add_row, tread_add(tape, x[0], x[2]))
OP(mul, tread_mul(tape, x[0], x[1]))
OP(exp, tread_exp(tape, x[0]))
OP(relu, tread_relu(tape, x[0]))
OP(gelu, tread_gelu(tape, x[0]))
OP(tanh, tread_tanh(tape, x[0]))
OP(sigmoid, tread_sigmoid(tape, x[0]))
OP(dropout, tread_dropout(tape, x[0], 0.5))
OP(sum, tread_sum(tape, x[0]))
OP(mean_axis, tread_mean_axis(tape, x[0], 0, false))
OP(max_axis, tread_max_axis(tape, x[0], 1, false))
OP(softmax, tread_softmax(tape, x[0], 1))
OP(log_softmax, tread_log_softmax(tape, x[0], 1))
OP(softmax_0, tread_softmax(tape, x[0], 0))
OP(layer_norm, tread_layer_norm(tape, x[0], x[2], x[2], 1e-5))
OP(transpose, tread_transpose(tape, x[0], 0, 1))
OP(cross_entropy, tread_cross_entropy(tape, x[0], labels))
OP(nll, tread_nll(tape, x[0], labels, NULL))
OP(mse, tread_mse(tape, x[0], x[1]))
OP(l1, tread_l1(tape, x[0], x[1]))
OP(huber, tread_huber(tape, x[0], x[1], 1))
OP(bce_with_logits, tread_bce_with_logits(tape, x[0], x[1]))

#define ROW(op, rows, columns)                                                                                         \
    { .name = #op, .n = rows, .m = columns, .apply = apply_##op }
static row rows[MAX_ROWS] = {
    ROW(frame, 1, 1),
    ROW(add, 128, 512),
    ROW(add_row, 128, 512),
    ROW(mul, 128, 512),
    ROW(exp, 128, 512),
    ROW(relu, 128, 512),
    ROW(gelu, 128, 512),
    ROW(tanh, 128, 512),
    ROW(sigmoid, 128, 512),
    ROW(dropout, 128, 512),
    ROW(sum, 128, 512),
    ROW(mean_axis, 128, 512),
    ROW(max_axis, 128, 512),
    ROW(transpose, 128, 512),
    ROW(layer_norm, 128, 64),
    ROW(layer_norm, 128, 512),
    ROW(softmax, 128, 10),
    ROW(softmax, 128, 512),
    ROW(softmax_0, 128, 512),
    ROW(log_softmax, 128, 10),
    ROW(log_softmax, 128, 512),
    ROW(cross_entropy, 32, 10),
    ROW(cross_entropy, 128, 10),
    ROW(cross_entropy, 1024, 10),
    ROW(cross_entropy, 128, 100),
    ROW(cross_entropy, 64, 1000),
    ROW(nll, 128, 10),
    ROW(mse, 128, 512),
    ROW(l1, 128, 512),
    ROW(huber, 128, 512),
    ROW(bce_with_logits, 128, 512),
};

static tread_tensor *random_tensor(int rank, const int64_t *shape, bool leaf) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, rank, shape);
    bench_must(x != NULL, "operation");
    for (int64_t i = 0; i < tread_tensor_count(x); i++)
        tread_tensor_float(x)[i] = 4.0f * (float)rand() / (float)RAND_MAX - 2.0f;
    bench_must(tread_tensor_set_requires_grad(x, leaf) == TREAD_OK, "operation");
    return x;
}

static tread_tensor *run_forward(row *r) {
    labels = r->labels;
    tread_tape_reset(r->tape);
    tread_tensor *y = r->apply(r->tape, r->x);
    bench_must(y != NULL, "operation");
    return y;
}

static void run_both(row *r) {
    for (int i = 0; i < 3; i++)
        tread_tensor_zero_grad(r->x[i], true);
    tread_tensor *y = run_forward(r);
    if (r->grad != NULL)
        bench_must(tread_backward_from(r->tape, y, r->grad) == TREAD_OK, "operation");
}

static void row_prepare(row *r, tread_context *context) {
    const int64_t shape[2] = {r->n, r->m};
    r->tape = tread_tape_create(context);
    r->x[0] = random_tensor(2, shape, true);
    r->x[1] = random_tensor(2, shape, false);
    r->x[2] = random_tensor(1, shape + 1, true);
    r->labels = tread_tensor_create(TREAD_INT32, 1, shape);
    bench_must(r->tape != NULL && r->labels != NULL, "operation");
    for (int64_t i = 0; i < r->n; i++)
        ((int32_t *)tread_tensor_data(r->labels))[i] = (int32_t)(rand() % r->m);
    const tread_tensor *y = run_forward(r);
    if (r->apply != apply_frame)
        r->grad = random_tensor(tread_tensor_rank(y), tread_tensor_shape(y), false);
    run_both(r);
    double start = bench_clock();
    run_both(r);
    r->repeats = (int)(ROUND_SECONDS / (bench_clock() - start)) + 1;
}

static double timed(row *r, bool both) {
    double start = bench_clock();
    for (int i = 0; i < r->repeats; i++)
        if (both)
            run_both(r);
        else
            (void)run_forward(r);
    return (bench_clock() - start) / r->repeats;
}

static void report(bench *b, row *r, int n_rounds, int threads) {
    for (int i = 0; i < n_rounds; i++)
        r->both[i] -= r->forward[i];
    bench_summary forward = bench_scale(bench_summarize(r->forward, n_rounds), 1e9);
    bench_summary backward = bench_scale(bench_summarize(r->both, n_rounds), 1e9);
    double n = (double)(r->n * r->m);
    printf("%-16s %5lld %5lld  %10.0f %10.0f  %9.3f %9.3f\n", r->name, (long long)r->n, (long long)r->m, forward.median,
           backward.median, forward.median / n, backward.median / n);
    json_t *json = bench_row(b, r->name, threads);
    json_object_set_new(json, "rows", json_integer(r->n));
    json_object_set_new(json, "columns", json_integer(r->m));
    bench_value(json, "forward_ns", forward);
    bench_value(json, "backward_ns", backward);
}

int main(int argc, char **argv) {
    const char *only = NULL;
    int64_t threads = 0, n_rounds = 51;
    const bench_option options[] = {
        {"threads", BENCH_COUNT, &threads, "N", "threads; 0: as many as the library takes", 0, 1024},
        {"rounds", BENCH_COUNT, &n_rounds, "N", "rounds, of which the figures are medians", 1, MAX_ROUNDS},
        {"only", BENCH_TEXT, &only, "LIST", "only these operations", 0, 0},
        {0},
    };
    bench *b = bench_begin(argc, argv, "Times operations forward and backward at typical shapes.", options);
    tread_context *context = bench_context((int)threads);
    for (row *r = rows; r->name != NULL; r++)
        if (bench_listed(only, r->name))
            row_prepare(r, context);
    for (int round = 0; round < n_rounds; round++)
        for (row *r = rows; r->name != NULL; r++)
            if (r->tape != NULL) {
                r->forward[round] = timed(r, false);
                r->both[round] = timed(r, true);
            }
    threads = tread_context_threads(context);
    printf("%d threads\n%-16s %5s %5s  %10s %10s  %9s %9s\n", (int)threads, "operation", "n", "m", "forward ns",
           "backward", "ns/elem.", "ns/elem.");
    for (row *r = rows; r->name != NULL; r++) {
        if (r->tape == NULL)
            continue;
        report(b, r, (int)n_rounds, (int)threads);
        tread_tape_destroy(r->tape);
        tread_tensor *all[] = {r->x[0], r->x[1], r->x[2], r->labels, r->grad};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            tread_tensor_destroy(all[i]);
    }
    tread_context_destroy(context);
    return bench_end(b);
}
