#include "autograd/ops_list.h"

#define TREAD_OP_ENTRY(name) &tread_op_##name,
const tread_op *const tread_op_table[] = {TREAD_OPS(TREAD_OP_ENTRY) NULL};
