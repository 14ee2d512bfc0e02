/* Layer: tests. Random operands of a matrix product. */
#ifndef TREAD_TESTS_GEMM_OPERANDS_H
#define TREAD_TESTS_GEMM_OPERANDS_H

#include <stddef.h>

#include "core/dnn.h"

typedef struct operands {
    tread_gemm_shape shape;
    size_t count_a, count_b, count_c;
    void *a, *b, *bias, *c, *c_before; /* elements in [-1, 1); of a bf16 product a and b are rounded to bfloat16, */
    uint16_t *a_bf16, *b_bf16;         /* and these are the same elements; else NULL */
} operands;

operands make_operands(tread_gemm_shape shape);
void free_operands(operands *x);

/* c = the product, planned and run once, where c held c_before at first. */
void multiply(const tread_context *context, operands *x, bool accumulate);

/* The caller destroys it. backend AUTO: oneDNN if it is in the build, whatever TREAD_BACKEND says. */
tread_context *make_context(int threads, tread_backend backend);

#endif
