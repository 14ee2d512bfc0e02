#include <math.h>
#include <string.h>
#include <tread/gradcheck.h>

#include "autograd/op.h"
#include "core/isa.h"
#include "core/memory.h"
#include "tests/autograd/op_run.h"
#include "tests/test.h"

/* ck_assert_msg writes to a file whenever it passes, which for every element takes minutes. */
#define require(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg(__VA_ARGS__);                                                                                 \
    } while (0)

START_TEST(every_op_has_a_record) {
    for (int i = 0; tread_op_table[i] != NULL; i++)
        require(op_record_find(tread_op_table[i]->name) != NULL, "op %s has no record", tread_op_table[i]->name);
}
END_TEST

/* --- Values --- */

static void check_value(const op_record *record, const op_case *c, int number, tread_context *context,
                        tread_dtype dtype) {
    if (context == NULL)
        return;
    const long double u = UNIT_ROUNDOFF(dtype);
    op_case with_unit = *c;
    with_unit.in_double = (double)(0x1p-53L / u);
    op_result expected = {0};
    record->reference(&with_unit, &expected);
    op_run run = op_run_start(record, c, context, dtype, 0);
    op_run_forward(&run);
    require(tread_tensor_rank(run.y) == expected.rank &&
                memcmp(tread_tensor_shape(run.y), expected.shape, sizeof(int64_t) * (size_t)expected.rank) == 0,
            "%s case %d: shape", record->name, number);
    require(tread_tensor_dtype(run.y) == dtype, "%s case %d: dtype", record->name, number);
    for (int64_t i = 0; i < expected.count; i++) {
        const long double value = expected.values[i], got = op_value(run.y, i), allowed = u * expected.errors[i];
        bool same = got == value || (isnan(got) && isnan(value)) || fabsl(got - value) <= allowed;
        require(same, "%s case %d, %s, element %lld: %.17Lg, not %.17Lg within %.3Lg", record->name, number,
                tread_dtype_name(dtype), (long long)i, got, value, allowed);
    }
    op_run_end(&run);
    op_result_free(&expected);
}

static void check_values(const op_record *record, const op_case *c, int number) {
    check_value(record, c, number, op_context(TREAD_BACKEND_REF, 2), TREAD_FLOAT32);
    check_value(record, c, number, op_context(TREAD_BACKEND_ONEDNN, 2), TREAD_FLOAT32);
    check_value(record, c, number, op_context(TREAD_BACKEND_REF, 2), TREAD_FLOAT64);
}

START_TEST(values_match_the_reference) { op_for_each_case(check_values); }
END_TEST

/* --- Gradients --- */

static bool takes_any(const op_case *c) {
    bool any = false;
    for (int i = 0; i < c->n_inputs; i++)
        any |= op_takes_gradient(c, i);
    return any;
}

static tread_tensor *apply_run(void *data, tread_tape *tape, tread_tensor *const *given) {
    const op_run *run = data;
    (void)given; /* the same tensors, without the labels */
    tread_tape_set_rng(tape, run->c->rng);
    return run->record->apply(tape, run->c, run->inputs);
}

static void check_differences(const op_record *record, const op_case *c, int number) {
    if (c->large || record->stops_gradient || !takes_any(c))
        return;
    tread_context *context = op_context(TREAD_BACKEND_REF, 1);
    op_run run = op_run_start(record, c, context, TREAD_FLOAT64, ALL_INPUTS);
    tread_tensor *given[OP_CASE_INPUTS];
    int n = 0, of_input[OP_CASE_INPUTS];
    for (int i = 0; i < c->n_inputs; i++)
        if (op_takes_gradient(c, i)) {
            of_input[n] = i;
            given[n++] = run.inputs[i];
        }
    tread_gradcheck_result result;
    ck_assert_ok(tread_gradcheck(context, apply_run, &run, given, n, NULL, &result));
    require(result.passed, "%s case %d: input %d, element %lld: analytic %.10g, numeric %.10g", record->name, number,
            of_input[result.input], (long long)result.element, result.analytic, result.numeric);
    op_run_end(&run);
}

START_TEST(gradients_match_differences) { op_for_each_case(check_differences); }
END_TEST

/* The float64 gradient, and what its float32 counterpart may be off by (op_records.h). */
typedef struct exact_gradient {
    double *values[OP_CASE_INPUTS];
    double *allowed[OP_CASE_INPUTS];
} exact_gradient;

static double gradient_at(tread_tensor *x, int64_t i) {
    tread_tensor *grad = tread_tensor_grad(x);
    return grad == NULL ? 0 : op_value(grad, i);
}

/* A and B by backward from one output at a time. */
static void add_output(op_run *run, int64_t output, exact_gradient *exact) {
    const op_record *record = run->record;
    op_run_forward(run);
    tread_tensor *one = tread_tensor_create(TREAD_FLOAT64, tread_tensor_rank(run->y), tread_tensor_shape(run->y));
    const double weight = op_value(run->weights, output);
    ((double *)tread_tensor_data(one))[output] = weight;
    for (int i = 0; i < run->c->n_inputs; i++)
        tread_tensor_zero_grad(run->inputs[i], true);
    ck_assert_ok(tread_backward_from(run->tape, run->y, one));
    for (int i = 0; i < run->c->n_inputs; i++) {
        if (!op_takes_gradient(run->c, i))
            continue;
        const bool aligned = tread_tensor_count(run->inputs[i]) == tread_tensor_count(run->y);
        for (int64_t k = 0; k < tread_tensor_count(run->inputs[i]); k++) {
            double share = fabs(gradient_at(run->inputs[i], k));
            exact->allowed[i][k] += record->gradient_ulps * share;
            if (share > 0 || (aligned && k == output))
                exact->allowed[i][k] += record->gradient_absolute * fabs(weight);
        }
    }
    tread_tensor_destroy(one);
}

static exact_gradient find_exact(const op_record *record, const op_case *c) {
    exact_gradient exact = {{NULL}, {NULL}};
    op_run run = op_run_start(record, c, op_context(TREAD_BACKEND_REF, 1), TREAD_FLOAT64, ALL_INPUTS);
    op_run_step(&run);
    for (int i = 0; i < c->n_inputs; i++) {
        exact.values[i] = calloc((size_t)c->inputs[i].count + 1, sizeof(double));
        exact.allowed[i] = calloc((size_t)c->inputs[i].count + 1, sizeof(double));
        for (int64_t k = 0; op_takes_gradient(c, i) && k < c->inputs[i].count; k++)
            exact.values[i][k] = gradient_at(run.inputs[i], k);
    }
    for (int64_t output = 0; output < tread_tensor_count(run.y); output++)
        add_output(&run, output, &exact);
    for (int i = 0; i < c->n_inputs; i++)
        for (int64_t k = 0; k < c->inputs[i].count; k++)
            exact.allowed[i][k] *= 1.01 * 0x1p-24; /* second order */
    op_run_end(&run);
    return exact;
}

static void free_exact(exact_gradient *exact) {
    for (int i = 0; i < OP_CASE_INPUTS; i++) {
        free(exact->values[i]);
        free(exact->allowed[i]);
    }
}

/* times: how often it was accumulated. Each addition rounds once. */
static void compare_gradient(const op_run *run, const exact_gradient *exact, int times, int number, const char *what) {
    for (int i = 0; i < run->c->n_inputs; i++)
        for (int64_t k = 0; op_takes_gradient(run->c, i) && k < run->c->inputs[i].count; k++) {
            const double expected = times * exact->values[i][k], got = gradient_at(run->inputs[i], k);
            double allowed = times * exact->allowed[i][k];
            if (times > 1)
                allowed += 1.01 * 0x1p-24 * fabs(expected);
            require(got == expected || (isnan(got) && isnan(expected)) || fabs(got - expected) <= allowed,
                    "%s case %d, %s: gradient of input %d, element %lld: %.9g, not %.9g within %.3g", run->record->name,
                    number, what, i, (long long)k, got, expected, allowed);
        }
}

static void check_float32(const op_record *record, const op_case *c, int number, const exact_gradient *exact,
                          tread_context *context) {
    if (context == NULL)
        return;
    op_run run = op_run_start(record, c, context, TREAD_FLOAT32, ALL_INPUTS);
    op_run_step(&run);
    compare_gradient(&run, exact, 1, number, "one backward");
    op_run_step(&run);
    compare_gradient(&run, exact, 2, number, "two backwards");

    /* One tensor in two operations of a graph: the second share is added to the first. */
    for (int i = 0; i < c->n_inputs; i++)
        tread_tensor_zero_grad(run.inputs[i], true);
    op_run_forward(&run);
    tread_tensor *first = run.y;
    tread_tape_set_rng(run.tape, c->rng);
    run.y = tread_add(run.tape, first, record->apply(run.tape, c, run.inputs));
    op_run_backward(&run);
    compare_gradient(&run, exact, 2, number, "two uses");
    op_run_end(&run);
}

static void check_gradients(const op_record *record, const op_case *c, int number) {
    if (c->large || record->stops_gradient || !takes_any(c))
        return;
    exact_gradient exact = find_exact(record, c);
    check_float32(record, c, number, &exact, op_context(TREAD_BACKEND_REF, 1));
    check_float32(record, c, number, &exact, op_context(TREAD_BACKEND_ONEDNN, 1));
    free_exact(&exact);
}

START_TEST(float32_gradients_match_float64_and_accumulate) { op_for_each_case(check_gradients); }
END_TEST

/* --- What must not change --- */

static void check_untouched(const op_record *record, const op_case *c, int number) {
    tread_context *context = op_context(TREAD_BACKEND_REF, 1);
    op_run all = op_run_start(record, c, context, TREAD_FLOAT32, ALL_INPUTS);
    op_run_step(&all);
    if (record->stops_gradient) {
        ck_assert(!tread_tensor_requires_grad(all.y));
        ck_assert_fails(tread_backward_from(all.tape, all.y, all.weights), TREAD_ERROR_STATE, "detached");
    }
    for (int only = 0; only < c->n_inputs; only++) {
        op_run run = op_run_start(record, c, context, TREAD_FLOAT32, 1u << only);
        op_run_step(&run);
        for (int i = 0; i < c->n_inputs; i++) {
            tread_tensor *grad = tread_tensor_grad(run.inputs[i]), *expected = tread_tensor_grad(all.inputs[i]);
            if (i != only || record->stops_gradient || !op_takes_gradient(c, i)) {
                require(grad == NULL, "%s case %d: input %d has a gradient", record->name, number, i);
                continue;
            }
            require(grad != NULL && expected != NULL, "%s case %d: input %d has no gradient", record->name, number, i);
            require(tread_tensor_count(grad) == 0 || memcmp(tread_tensor_data(grad), tread_tensor_data(expected),
                                                            4 * (size_t)tread_tensor_count(grad)) == 0,
                    "%s case %d: the gradient of input %d depends on who else needs one", record->name, number, i);
        }
        for (int i = 0; i < c->n_inputs; i++)
            for (int64_t k = 0; run.inputs[i] != NULL && !c->inputs[i].integer && k < c->inputs[i].count; k++)
                require(op_value(run.inputs[i], k) == c->inputs[i].values[k], "%s case %d: input %d was written to",
                        record->name, number, i);
        op_run_end(&run);
    }
    op_run_end(&all);
}

START_TEST(inputs_without_requires_grad_are_left_alone) { op_for_each_case(check_untouched); }
END_TEST

static op_bytes bytes_of(const op_record *record, const op_case *c, tread_context *context, tread_dtype dtype) {
    op_run run = op_run_start(record, c, context, dtype, ALL_INPUTS);
    op_run_step(&run);
    op_bytes bytes = op_run_bytes(&run);
    op_run_end(&run);
    return bytes;
}

static void check_bits(const op_record *record, const op_case *c, int number) {
    static const struct {
        tread_backend backend;
        tread_dtype dtype;
    } kinds[] = {
        {TREAD_BACKEND_REF, TREAD_FLOAT32}, {TREAD_BACKEND_ONEDNN, TREAD_FLOAT32}, {TREAD_BACKEND_REF, TREAD_FLOAT64}};
    static const int threads[] = {1, 2, 3, 8};
    for (int kind = 0; kind < 3; kind++) {
        if (op_context(kinds[kind].backend, 1) == NULL)
            continue;
        op_bytes base = bytes_of(record, c, op_context(kinds[kind].backend, 1), kinds[kind].dtype);
        for (int isa = 0; isa < TREAD_ISA_COUNT; isa++) {
            const tread_isa before = tread_isa_use((tread_isa)isa);
            for (int t = 0; t < 4 && tread_isa_chosen() == (tread_isa)isa; t++) {
                op_bytes bytes = bytes_of(record, c, op_context(kinds[kind].backend, threads[t]), kinds[kind].dtype);
                require(bytes.size == base.size && (base.size == 0 || memcmp(bytes.data, base.data, base.size) == 0),
                        "%s case %d, kind %d: other bits with %d threads on %s", record->name, number, kind, threads[t],
                        tread_isa_name((tread_isa)isa));
                free(bytes.data);
            }
            tread_isa_use(before);
        }
        free(base.data);
    }
}

START_TEST(threads_and_instruction_sets_change_no_bit) { op_for_each_case(check_bits); }
END_TEST

/* --- Memory --- */

static void check_second_step(const op_record *record, const op_case *c, int number) {
    for (int kind = 0; kind < 2; kind++) {
        tread_context *context = op_context(kind == 0 ? TREAD_BACKEND_REF : TREAD_BACKEND_ONEDNN, 2);
        if (context == NULL)
            continue;
        op_run run = op_run_start(record, c, context, TREAD_FLOAT32, ALL_INPUTS);
        op_run_step(&run);
        for (int i = 0; i < c->n_inputs; i++)
            tread_tensor_zero_grad(run.inputs[i], true);
        const uint64_t calls = tread_memory_calls();
        op_run_step(&run);
        require(tread_memory_calls() == calls, "%s case %d: %llu allocations in the second step", record->name, number,
                (unsigned long long)(tread_memory_calls() - calls));
        op_run_end(&run);
    }
}

START_TEST(the_second_step_allocates_nothing) { op_for_each_case(check_second_step); }
END_TEST

/* One try with the k-th allocation failing; false when there are fewer than k. */
static bool try_failing(op_run *run, tread_context *context, uint64_t k) {
    tread_status status = TREAD_OK;
    tread_memory_fail_at(k);
    run->tape = tread_tape_create(context);
    if (run->tape == NULL) {
        status = TREAD_ERROR_MEMORY;
    } else {
        tread_tape_set_rng(run->tape, run->c->rng);
        run->y = run->record->apply(run->tape, run->c, run->inputs);
        status = tread_tape_status(run->tape);
        require((run->y == NULL) == (status != TREAD_OK), "%s", run->record->name);
        if (run->y != NULL && tread_tensor_requires_grad(run->y))
            status = tread_backward_from(run->tape, run->y, run->weights);
    }
    const bool failed = tread_memory_failed();
    tread_memory_fail_at(0);
    require(status == (failed ? TREAD_ERROR_MEMORY : TREAD_OK), "%s, allocation %llu: %s", run->record->name,
            (unsigned long long)k, tread_last_error());
    for (int i = 0; failed && i < run->c->n_inputs; i++)
        require(tread_tensor_grad(run->inputs[i]) == NULL, "%s, allocation %llu: a gradient after failure",
                run->record->name, (unsigned long long)k);
    tread_tape_destroy(run->tape);
    run->tape = NULL;
    return failed;
}

static void check_failures(const op_record *record, const op_case *c, int number) {
    if (c->large || number % 3 != 0) /* what is allocated hardly depends on the shape */
        return;
    tread_context *context = op_context(TREAD_BACKEND_REF, 1);
    const uint64_t live = tread_memory_live_blocks();
    bool failed = true;
    for (uint64_t k = 1; failed; k++) {
        op_run run = op_run_start(record, c, context, TREAD_FLOAT32, ALL_INPUTS);
        op_run_forward(&run); /* for the weights */
        tread_tape_destroy(run.tape);
        failed = try_failing(&run, context, k);
        op_run_end(&run);
        require(tread_memory_live_blocks() == live, "%s case %d: allocation %llu leaks", record->name, number,
                (unsigned long long)k);
    }
}

START_TEST(every_failing_allocation_is_survived) { op_for_each_case(check_failures); }
END_TEST

START_TEST(what_is_refused_says_so) {
    tread_tape *tape = tread_tape_create(op_context(TREAD_BACKEND_REF, 1));
    for (int i = 0; tread_op_table[i] != NULL; i++) {
        const op_record *record = op_record_find(tread_op_table[i]->name);
        if (record != NULL && record->check_errors != NULL)
            record->check_errors(tape);
    }
    tread_tape_destroy(tape);
}
END_TEST

TEST_MAIN("battery", every_op_has_a_record, values_match_the_reference, gradients_match_differences,
          float32_gradients_match_float64_and_accumulate, inputs_without_requires_grad_are_left_alone,
          threads_and_instruction_sets_change_no_bit, the_second_step_allocates_nothing,
          every_failing_allocation_is_survived, what_is_refused_says_so)
