/* Layer: autograd. The tape: records operations as they run, and runs them backward.
 *
 * One step of training is: reset, operations, backward.
 *
 *     tread_tape_reset(tape);
 *     tread_tensor *y = tread_linear(tape, x, w, b, TREAD_ACTIVATION_RELU);
 *     tread_tensor *loss = tread_mse(tape, y, target);
 *     if (tread_backward(tape, loss) != TREAD_OK) ...
 *
 * The tape owns every tensor that an operation returns; they end at the next reset. Using one after that is
 * TREAD_ERROR_STATE (recognised for the 7 steps after its own). The k-th operation of a step reuses the buffers and
 * plans of the k-th of the last step where op, shapes and flags agree, so that from the second step of a shape on
 * Tread allocates nothing.
 *
 * Errors stick: the first operation that fails returns NULL and sets the tape's error, later ones return NULL at
 * once, and tread_backward returns that error. So a model reads like its formula and is checked once a step.
 * A tape is used by one thread at a time; its inputs must live, and their data must not change, until backward. */
#ifndef TREAD_TAPE_H
#define TREAD_TAPE_H

#include <stdio.h>
#include <tread/context.h>
#include <tread/precision.h>
#include <tread/random.h>
#include <tread/tensor.h>

TREAD_BEGIN_DECLS

typedef struct tread_tape tread_tape;

/* An empty tape; the caller destroys it. Its random stream (dropout) starts at the context's seed.
 * NULL: TREAD_ERROR_MEMORY. */
TREAD_API tread_tape *tread_tape_create(tread_context *context);
TREAD_API void tread_tape_destroy(tread_tape *tape); /* NULL is accepted */

/* Begins a step: ends the last one's tensors and clears the error. Plans and buffers stay. */
TREAD_API void tread_tape_reset(tread_tape *tape);

/* The first error since the last reset (TREAD_OK: none), and its sentence (""). */
TREAD_API tread_status tread_tape_status(const tread_tape *tape);
TREAD_API const char *tread_tape_error(const tread_tape *tape);

/* Computes the gradient of loss, which has one element, with respect to every leaf it was computed from, and adds it to
 * the leaf's gradient (writes it where that is none). Returns the tape's error if it has one; TREAD_ERROR_ARGUMENT
 * (loss NULL), TREAD_ERROR_SHAPE (more than one element: use tread_backward_from), TREAD_ERROR_STATE (stale, of
 * another tape, detached: nothing it was computed from requires a gradient, or this part of the graph was used by a
 * backward already, or a leaf has changed since it was used), TREAD_ERROR_MEMORY. No gradient changes then. */
TREAD_API tread_status tread_backward(tread_tape *tape, tread_tensor *loss);
/* The same from any y and the gradient of some scalar with respect to it, of y's shape and type. */
TREAD_API tread_status tread_backward_from(tread_tape *tape, tread_tensor *y, const tread_tensor *grad);

/* The same values as a constant: backward stops here. Shares x's memory; owned by the tape. */
TREAD_API tread_tensor *tread_detach(tread_tape *tape, tread_tensor *x);

/* The gradient that the last backward left at a tensor of this tape (not a leaf), valid until reset; NULL if none.
 * Owned by the tape. */
TREAD_API tread_tensor *tread_tape_grad(tread_tape *tape, const tread_tensor *x);

/* The random stream that dropout draws from; set it to resume a run. */
TREAD_API tread_rng tread_tape_rng(const tread_tape *tape);
TREAD_API void tread_tape_set_rng(tread_tape *tape, tread_rng rng);

/* In which precision the operations recorded from now on compute, those that have a choice: tread_linear. As with
 * PyTorch's autocast, parts of a model may differ; it lasts over resets. At first TREAD_PRECISION_FLOAT32. Errors:
 * those of tread_precision_check (precision.h) for the tape's context; the tape's precision stays then, and its own
 * error is not set. */
TREAD_API tread_status tread_tape_set_precision(tread_tape *tape, tread_precision precision);
TREAD_API tread_precision tread_tape_precision(const tread_tape *tape);

/* The operations recorded since reset. */
TREAD_API size_t tread_tape_length(const tread_tape *tape);
TREAD_API tread_context *tread_tape_context(const tread_tape *tape);

/* Writes the recorded graph in Graphviz's DOT language: operations with shapes, leaves, gradient flow. TREAD_ERROR_IO.
 */
TREAD_API tread_status tread_tape_write_dot(const tread_tape *tape, FILE *file);

TREAD_END_DECLS

#endif
