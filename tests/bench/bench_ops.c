/* Times operations forward and backward at typical shapes, in nanoseconds:
 *     bench_ops [--threads N] [--rounds N] [NAME...]
 * NAME: only rows whose name begins with it. An operation is timed as a program meets it, through the tape: forward is
 * reset and the call; backward is that with tread_backward_from less forward. "frame" is an operation that does nothing
 * (detach, of one element): what the tape itself costs. Figures are medians over rounds, in which all rows alternate,
 * since other programs disturb; the rate is elements of the first input by time. Set GOMP_SPINCOUNT=1000 on a shared
 * machine. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tread/ops.h>

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

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static void must(bool good) {
    if (!good) {
        fprintf(stderr, "bench_ops: %s\n", tread_last_error());
        exit(EXIT_FAILURE);
    }
}

static tread_tensor *random_tensor(int rank, const int64_t *shape, bool leaf) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, rank, shape);
    must(x != NULL);
    for (int64_t i = 0; i < tread_tensor_count(x); i++)
        tread_tensor_float(x)[i] = 4.0f * (float)rand() / (float)RAND_MAX - 2.0f;
    must(tread_tensor_set_requires_grad(x, leaf) == TREAD_OK);
    return x;
}

static tread_tensor *run_forward(row *r) {
    labels = r->labels;
    tread_tape_reset(r->tape);
    tread_tensor *y = r->apply(r->tape, r->x);
    must(y != NULL);
    return y;
}

static void run_both(row *r) {
    for (int i = 0; i < 3; i++)
        tread_tensor_zero_grad(r->x[i], true);
    tread_tensor *y = run_forward(r);
    if (r->grad != NULL)
        must(tread_backward_from(r->tape, y, r->grad) == TREAD_OK);
}

static void row_prepare(row *r, tread_context *context) {
    const int64_t shape[2] = {r->n, r->m};
    r->tape = tread_tape_create(context);
    r->x[0] = random_tensor(2, shape, true);
    r->x[1] = random_tensor(2, shape, false);
    r->x[2] = random_tensor(1, shape + 1, true);
    r->labels = tread_tensor_create(TREAD_INT32, 1, shape);
    must(r->tape != NULL && r->labels != NULL);
    for (int64_t i = 0; i < r->n; i++)
        ((int32_t *)tread_tensor_data(r->labels))[i] = (int32_t)(rand() % r->m);
    const tread_tensor *y = run_forward(r);
    if (r->apply != apply_frame)
        r->grad = random_tensor(tread_tensor_rank(y), tread_tensor_shape(y), false);
    run_both(r);
    double start = now();
    run_both(r);
    r->repeats = (int)(ROUND_SECONDS / (now() - start)) + 1;
}

static double timed(row *r, bool both) {
    double start = now();
    for (int i = 0; i < r->repeats; i++)
        if (both)
            run_both(r);
        else
            (void)run_forward(r);
    return (now() - start) / r->repeats;
}

static void report(row *r, int n_rounds) {
    for (int i = 0; i < n_rounds; i++)
        r->both[i] -= r->forward[i];
    qsort(r->forward, (size_t)n_rounds, sizeof(double), compare);
    qsort(r->both, (size_t)n_rounds, sizeof(double), compare);
    const double forward = r->forward[n_rounds / 2], backward = r->both[n_rounds / 2], n = (double)(r->n * r->m);
    printf("%-16s %5lld %5lld  %10.0f %10.0f  %9.3f %9.3f\n", r->name, (long long)r->n, (long long)r->m, 1e9 * forward,
           1e9 * backward, 1e9 * forward / n, 1e9 * backward / n);
}

static bool wanted(const row *r, char **names) {
    for (int i = 0; names[i] != NULL; i++)
        if (strncmp(r->name, names[i], strlen(names[i])) == 0)
            return true;
    return names[0] == NULL;
}

int main(int argc, char **argv) {
    static const struct option known[] = {{"threads", 1, NULL, 't'}, {"rounds", 1, NULL, 'r'}, {0}};
    tread_context_options options = tread_context_defaults();
    int n_rounds = 51;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 't': options.threads = atoi(optarg); break;
        case 'r': n_rounds = atoi(optarg); break;
        default: return 2;
        }
    if (n_rounds < 1 || n_rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_ops [--threads N] [--rounds N (1..%d)] [NAME...]\n", MAX_ROUNDS);
        return 2;
    }
    tread_context *context = tread_context_create(&options);
    must(context != NULL);
    for (row *r = rows; r->name != NULL; r++)
        if (wanted(r, argv + optind))
            row_prepare(r, context);
    for (int round = 0; round < n_rounds; round++)
        for (row *r = rows; r->name != NULL; r++)
            if (r->tape != NULL) {
                r->forward[round] = timed(r, false);
                r->both[round] = timed(r, true);
            }
    printf("%d threads\n%-16s %5s %5s  %10s %10s  %9s %9s\n", tread_context_threads(context), "operation", "n", "m",
           "forward ns", "backward", "ns/elem.", "ns/elem.");
    for (row *r = rows; r->name != NULL; r++) {
        if (r->tape == NULL)
            continue;
        report(r, n_rounds);
        tread_tape_destroy(r->tape);
        tread_tensor *all[] = {r->x[0], r->x[1], r->x[2], r->labels, r->grad};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            tread_tensor_destroy(all[i]);
    }
    tread_context_destroy(context);
    return 0;
}
