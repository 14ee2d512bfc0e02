/* Layer: core. In which numbers the matrix products of linear layers multiply.
 *
 * float32 is the default. With bf16 (bfloat16: float32's range, 8 bits of precision) the inputs of the products of wide
 * layers, forward and backward, are rounded to bfloat16, and their sums stay float32: on CPUs with AVX512_BF16 or
 * AMX_BF16 that is up to twice as fast. Weights, gradients, activations as operations see them, optimizers and
 * checkpoints stay float32 (Micikevicius et al., "Mixed Precision Training", 2018, with bfloat16 in place of float16 as
 * in Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training", 2019; so no scaling of the loss is needed). It
 * is what PyTorch's autocast does for bfloat16. tread_tape_set_precision (tape.h) and tread_trainer_options.precision
 * ask for it; tread_linear (ops.h) says which layers are wide. */
#ifndef TREAD_PRECISION_H
#define TREAD_PRECISION_H

#include <tread/context.h>

TREAD_BEGIN_DECLS

typedef enum tread_precision {
    TREAD_PRECISION_FLOAT32 = 0,
    TREAD_PRECISION_BF16 = 1,
} tread_precision;
#define TREAD_PRECISION_COUNT 2

TREAD_API const char *tread_precision_name(tread_precision precision); /* "float32", "bf16"; static; else NULL */

/* Whether a context computes so. float32: always. bf16: where oneDNN multiplies bfloat16 by instructions of this CPU;
 * and where the back-end ref was asked for by name, whose plain C multiplies the same rounded inputs, for comparisons
 * and tests, and is no faster. TREAD_ERROR_BACKEND otherwise, with the CPU's name and what it, or the build, lacks;
 * TREAD_ERROR_ARGUMENT: precision is none of them; what made the default context fail, where context is NULL. */
TREAD_API tread_status tread_precision_check(const tread_context *context, tread_precision precision);

TREAD_END_DECLS

#endif
