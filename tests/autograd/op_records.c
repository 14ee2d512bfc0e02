#include "tests/autograd/op_records.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const op_record *const tables[] = {op_records_elementwise, op_records_shape, op_records_matrix,
                                          op_records_rows,        op_records_loss,  op_records_embedding};

const op_record *op_record_find(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const op_record *r = tables[i]; r->name != NULL; r++)
            if (strcmp(r->name, name) == 0)
                return r;
    return NULL;
}

double *op_case_input(op_case *c, int rank, const int64_t *shape) {
    op_input *input = &c->inputs[c->n_inputs++];
    input->rank = rank;
    input->count = 1;
    for (int i = 0; i < rank; i++) {
        input->shape[i] = shape[i];
        input->count *= shape[i];
    }
    input->values = calloc((size_t)input->count + 1, sizeof *input->values);
    return input->values;
}

double *op_case_uniform(op_case *c, int rank, const int64_t *shape, tread_rng *rng, double low, double high) {
    double *values = op_case_input(c, rank, shape);
    for (int64_t i = 0; i < c->inputs[c->n_inputs - 1].count; i++)
        do
            values[i] = low + (high - low) * tread_rng_uniform(rng);
        while (fabs(values[i] - 0.5 * nearbyint(2 * values[i])) < 0.01);
    return values;
}

void op_case_free(op_case *c) {
    for (int i = 0; i < c->n_inputs; i++)
        free(c->inputs[i].values);
    *c = (op_case){0};
}

void op_result_shape(op_result *result, int rank, const int64_t *shape) {
    result->rank = rank;
    result->count = 1;
    for (int i = 0; i < rank; i++) {
        result->shape[i] = shape[i];
        result->count *= shape[i];
    }
    result->values = calloc((size_t)result->count + 1, sizeof *result->values);
    result->errors = calloc((size_t)result->count + 1, sizeof *result->errors);
}

void op_result_free(op_result *result) {
    free(result->values);
    free(result->errors);
    *result = (op_result){0};
}
