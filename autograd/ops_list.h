/* Layer: autograd. The list of operations: a line here registers one. */
#ifndef TREAD_AUTOGRAD_OPS_LIST_H
#define TREAD_AUTOGRAD_OPS_LIST_H

#include "autograd/op.h"

/* In the order of tread/ops.h; each is a `const tread_op tread_op_NAME` in the file of its family. */
#define TREAD_OPS(X)                                                                                                   \
    X(add)                                                                                                             \
    X(sub)                                                                                                             \
    X(mul)                                                                                                             \
    X(div)                                                                                                             \
    X(neg)                                                                                                             \
    X(exp)                                                                                                             \
    X(log)                                                                                                             \
    X(sqrt)                                                                                                            \
    X(square)                                                                                                          \
    X(abs)                                                                                                             \
    X(clamp)                                                                                                           \
    X(relu)                                                                                                            \
    X(leaky_relu)                                                                                                      \
    X(gelu)                                                                                                            \
    X(silu)                                                                                                            \
    X(tanh)                                                                                                            \
    X(sigmoid)                                                                                                         \
    X(dropout)                                                                                                         \
    X(sum)                                                                                                             \
    X(mean)                                                                                                            \
    X(sum_axis)                                                                                                        \
    X(mean_axis)                                                                                                       \
    X(max_axis)                                                                                                        \
    X(matmul)                                                                                                          \
    X(linear)                                                                                                          \
    X(embedding)                                                                                                       \
    X(embedding_bag)                                                                                                   \
    X(softmax)                                                                                                         \
    X(log_softmax)                                                                                                     \
    X(layer_norm)                                                                                                      \
    X(reshape)                                                                                                         \
    X(transpose)                                                                                                       \
    X(concat)                                                                                                          \
    X(slice)                                                                                                           \
    X(cross_entropy)                                                                                                   \
    X(nll)                                                                                                             \
    X(mse)                                                                                                             \
    X(l1)                                                                                                              \
    X(huber)                                                                                                           \
    X(bce_with_logits)                                                                                                 \
    X(detach)

#define TREAD_DECLARE_OP(name) extern const tread_op tread_op_##name;
TREAD_OPS(TREAD_DECLARE_OP)

#endif
