#include "tests/autograd/op_run.h"

#include <string.h>

#include "autograd/op.h"
#include "tests/test.h"

tread_context *op_context(tread_backend backend, int threads) {
    static tread_context *made[3][9];
    static bool tried[3][9];
    if (!tried[backend][threads]) {
        tread_context_options options = tread_context_defaults();
        options.backend = backend;
        options.threads = threads;
        made[backend][threads] = tread_context_create(&options);
        tried[backend][threads] = true;
    }
    return made[backend][threads];
}

bool op_takes_gradient(const op_case *c, int i) {
    const op_input *input = &c->inputs[i];
    return !input->absent && !input->integer && !input->no_gradient;
}

static void set_value(tread_tensor *x, int64_t i, double value) {
    switch (tread_tensor_dtype(x)) {
    case TREAD_FLOAT32: ((float *)tread_tensor_data(x))[i] = (float)value; break;
    case TREAD_FLOAT64: ((double *)tread_tensor_data(x))[i] = value; break;
    case TREAD_INT32: ((int32_t *)tread_tensor_data(x))[i] = (int32_t)value; break;
    default: ck_abort_msg("no such input");
    }
}

double op_value(const tread_tensor *x, int64_t i) {
    return tread_tensor_dtype(x) == TREAD_FLOAT32 ? (double)((float *)tread_tensor_data(x))[i]
                                                  : ((double *)tread_tensor_data(x))[i];
}

op_run op_run_start(const op_record *record, const op_case *c, tread_context *context, tread_dtype dtype,
                    unsigned needs) {
    op_run run = {.record = record, .c = c, .dtype = dtype, .tape = tread_tape_create(context)};
    ck_assert_msg(run.tape != NULL, "%s", tread_last_error());
    for (int i = 0; i < c->n_inputs; i++) {
        const op_input *input = &c->inputs[i];
        if (input->absent)
            continue;
        tread_tensor *x = tread_tensor_create(input->integer ? TREAD_INT32 : dtype, input->rank, input->shape);
        ck_assert_msg(x != NULL, "%s", tread_last_error());
        for (int64_t k = 0; k < input->count; k++)
            set_value(x, k, input->values[k]);
        if ((needs >> i & 1) != 0 && op_takes_gradient(c, i))
            ck_assert_ok(tread_tensor_set_requires_grad(x, true));
        run.inputs[i] = x;
    }
    return run;
}

void op_run_forward(op_run *run) {
    tread_tape_reset(run->tape);
    tread_tape_set_rng(run->tape, run->c->rng);
    run->y = run->record->apply(run->tape, run->c, run->inputs);
    ck_assert_msg(run->y != NULL, "%s: %s", run->record->name, tread_tape_error(run->tape));
    if (run->weights == NULL) {
        run->weights = tread_tensor_create(run->dtype, tread_tensor_rank(run->y), tread_tensor_shape(run->y));
        tread_rng rng = tread_rng_create(7, 7);
        for (int64_t i = 0; i < tread_tensor_count(run->y); i++)
            set_value(run->weights, i, (float)(0.5 + tread_rng_uniform(&rng)));
    }
}

void op_run_backward(op_run *run) {
    if (tread_tensor_requires_grad(run->y))
        ck_assert_ok(tread_backward_from(run->tape, run->y, run->weights));
}

void op_run_step(op_run *run) {
    op_run_forward(run);
    op_run_backward(run);
}

void op_run_end(op_run *run) {
    tread_tape_destroy(run->tape);
    tread_tensor_destroy(run->weights);
    for (int i = 0; i < OP_CASE_INPUTS; i++)
        tread_tensor_destroy(run->inputs[i]);
}

static void append(op_bytes *bytes, const tread_tensor *x) {
    if (x == NULL || tread_tensor_count(x) == 0)
        return;
    size_t size = (size_t)tread_tensor_count(x) * tread_dtype_size(tread_tensor_dtype(x));
    bytes->data = realloc(bytes->data, bytes->size + size);
    memcpy(bytes->data + bytes->size, tread_tensor_data(x), size);
    bytes->size += size;
}

op_bytes op_run_bytes(const op_run *run) {
    op_bytes bytes = {0};
    append(&bytes, run->y);
    for (int i = 0; i < run->c->n_inputs; i++)
        append(&bytes, tread_tensor_grad(run->inputs[i]));
    return bytes;
}

static uint64_t seed_of(const char *name) {
    uint64_t seed = 5381;
    for (; *name != '\0'; name++)
        seed = seed * 33 + (unsigned char)*name;
    return seed;
}

void op_for_each_case(void (*visit)(const op_record *record, const op_case *c, int number)) {
    for (int i = 0; tread_op_table[i] != NULL; i++) {
        const op_record *record = op_record_find(tread_op_table[i]->name);
        for (int number = 0; record != NULL && number < record->n_cases; number++) {
            op_case c = {.rng = {.seed = 3, .stream = 1, .next = 11}};
            tread_rng rng = tread_rng_create(seed_of(record->name), (uint64_t)number);
            record->make(number, &rng, &c);
            for (int k = 0; k < c.n_inputs; k++)
                for (int64_t e = 0; e < c.inputs[k].count; e++)
                    c.inputs[k].values[e] = (float)c.inputs[k].values[e];
            visit(record, &c, number);
            op_case_free(&c);
        }
    }
}
