/* Layer: tests. One record an op: what the battery (test_battery.c) needs to test it without knowing it. An op of
 * tread_op_table without a record makes the battery fail.
 *
 * For each case of each record the battery checks: float32 (ref, and oneDNN where built) and float64 values against the
 * reference; gradcheck in float64; float32 gradients against float64 ones; accumulation; that inputs without
 * requires_grad are left alone; equal bits at 1, 2, 3 and 8 threads and on every instruction set; no allocation in the
 * second step. */
#ifndef TREAD_TESTS_OP_RECORDS_H
#define TREAD_TESTS_OP_RECORDS_H

#include <stdbool.h>
#include <tread/ops.h>
#include <tread/random.h>

#define OP_CASE_INPUTS 4

typedef struct op_input {
    bool absent;      /* an optional input that is NULL in this case */
    bool integer;     /* int32 in every run, never differentiated (labels); else float32 or float64 */
    bool no_gradient; /* never differentiated though float */
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    int64_t count;
    double *values; /* count of them; the battery rounds them to float32 first, so every run has the same numbers */
} op_input;

typedef struct op_case {
    int n_inputs;
    op_input inputs[OP_CASE_INPUTS];
    double real[2]; /* the op's options, as the record likes */
    int64_t integer[8];
    tread_rng rng;    /* the tape's stream when the op runs */
    double in_double; /* 2^-53 / u: what a rounding in double costs in units of u; set before reference() */
    bool large;       /* too large to difference: values, bits and allocation only */
} op_case;

typedef struct op_result {
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    int64_t count;
    long double *values; /* count each */
    long double *errors; /* allowed |y - value| in units of u, the type's unit roundoff (2^-24, 2^-53); 0: exact */
} op_result;

typedef struct op_record {
    const char *name; /* the op's */
    int n_cases;
    /* Fills case number i of n_cases: op_case_input() for each input, then values and options. */
    void (*make)(int number, tread_rng *rng, op_case *c);
    /* Calls the op's public function. inputs has NULL where the case says absent. */
    tread_tensor *(*apply)(tread_tape *tape, const op_case *c, tread_tensor *const *inputs);
    /* The naive forward in long double: op_result_shape(), then values and errors. Derive errors in a comment. */
    void (*reference)(const op_case *c, op_result *result);
    /* |g32 - g64| <= u32 (gradient_ulps A + gradient_absolute B) for each element, where A = sum over outputs of
     * |dy_o/dx w_o|, w the upstream gradient, and B = sum of |w_o| over the outputs that depend on x's element (for
     * which some dy_o/dx is not 0, and that of its own index where x and y have one shape). Derive them in a comment.
     */
    double gradient_ulps, gradient_absolute;
    bool stops_gradient;                    /* detach */
    void (*check_errors)(tread_tape *tape); /* refused calls, by expect_refused(); NULL: none */
} op_record;

/* Ends with a NULL name. Each file of records has one such table, entered in op_records.c. */
extern const op_record op_records_elementwise[];
extern const op_record op_records_shape[];
extern const op_record op_records_matrix[];
extern const op_record op_records_rows[];
extern const op_record op_records_loss[];
extern const op_record op_records_embedding[];
const op_record *op_record_find(const char *name);

/* An input of the case, values to be filled; returns them. */
double *op_case_input(op_case *c, int rank, const int64_t *shape);
/* The same filled uniformly from [low, high), nothing nearer than 0.01 to a multiple of 0.5 (where kinks are). */
double *op_case_uniform(op_case *c, int rank, const int64_t *shape, tread_rng *rng, double low, double high);
void op_case_free(op_case *c);
void op_result_shape(op_result *result, int rank, const int64_t *shape);
void op_result_free(op_result *result);

/* The call (an expression that gives a tensor) must give NULL with this status and a sentence that contains part;
 * the tape is reset before. */
#define expect_refused(tape, call, status, part)                                                                       \
    do {                                                                                                               \
        tread_tape_reset(tape);                                                                                        \
        ck_assert_msg((call) == NULL, "%s was not refused", #call);                                                    \
        ck_assert_msg(tread_tape_status(tape) == (status), "%s gave: %s", #call, tread_tape_error(tape));              \
        ck_assert_msg(strstr(tread_tape_error(tape), (part)) != NULL, "%s: \"%s\" lacks \"%s\"", #call,                \
                      tread_tape_error(tape), (part));                                                                 \
        tread_tape_reset(tape);                                                                                        \
    } while (0)

#endif
