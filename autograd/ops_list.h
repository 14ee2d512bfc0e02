/* Layer: autograd. The list of operations: a line here registers one. */
#ifndef TREAD_AUTOGRAD_OPS_LIST_H
#define TREAD_AUTOGRAD_OPS_LIST_H

#include "autograd/op.h"

/* In the order of tread/ops.h; each is a `const tread_op tread_op_NAME` in the file of its family. */
#define TREAD_OPS(X)                                                                                            \
    X(detach)                                                                                                   \
    X(matmul)                                                                                                   \
    X(linear)

#define TREAD_DECLARE_OP(name) extern const tread_op tread_op_##name;
TREAD_OPS(TREAD_DECLARE_OP)

#endif
