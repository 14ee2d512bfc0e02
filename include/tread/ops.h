/* Layer: autograd. The operations. Each runs at once, records itself on the tape, and returns a tensor that the tape
 * owns, or NULL with the tape's error set (tape.h).
 *
 * Inputs are float32 or float64, all of one type, unless said; float32 matrix products go through the context's
 * back-end, float64 always through ref. "..." stands for any leading axes. An axis may be negative: -1 is the last.
 * Common errors: TREAD_ERROR_SHAPE (the shapes are named), TREAD_ERROR_DTYPE, TREAD_ERROR_ARGUMENT (NULL tensor,
 * axis or option out of range), TREAD_ERROR_STATE (a stale tensor or one of another tape), TREAD_ERROR_MEMORY,
 * TREAD_ERROR_BACKEND. Formulas are those of the named function in NumPy or in PyTorch's torch.nn.functional,
 * unless a paper is named. */
#ifndef TREAD_OPS_H
#define TREAD_OPS_H

#include <tread/activation.h>
#include <tread/bag_mode.h>
#include <tread/tape.h>

TREAD_BEGIN_DECLS

/* --- Elementwise, two inputs. Shapes broadcast as in NumPy: aligned at the last axis, extents equal or 1. --- */
TREAD_API tread_tensor *tread_add(tread_tape *tape, tread_tensor *a, tread_tensor *b); /* a + b */
TREAD_API tread_tensor *tread_sub(tread_tape *tape, tread_tensor *a, tread_tensor *b); /* a - b */
TREAD_API tread_tensor *tread_mul(tread_tape *tape, tread_tensor *a, tread_tensor *b); /* a * b */
TREAD_API tread_tensor *tread_div(tread_tape *tape, tread_tensor *a, tread_tensor *b); /* a / b, IEEE */

/* --- Elementwise, one input: same shape out --- */
TREAD_API tread_tensor *tread_neg(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_exp(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_log(tread_tape *tape, tread_tensor *x); /* natural */
TREAD_API tread_tensor *tread_sqrt(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_square(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_abs(tread_tape *tape, tread_tensor *x); /* gradient 0 at 0 */
/* min(max(x, low), high); gradient 1 inside and on the bounds, else 0. TREAD_ERROR_ARGUMENT: low > high or NaN. */
TREAD_API tread_tensor *tread_clamp(tread_tape *tape, tread_tensor *x, double low, double high);
TREAD_API tread_tensor *tread_relu(tread_tape *tape, tread_tensor *x);                     /* gradient 0 at 0 */
TREAD_API tread_tensor *tread_leaky_relu(tread_tape *tape, tread_tensor *x, double slope); /* slope for x < 0; finite */
/* x Phi(x), with erf; Hendrycks and Gimpel 2016 */
TREAD_API tread_tensor *tread_gelu(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_silu(tread_tape *tape, tread_tensor *x); /* x sigmoid(x) */
TREAD_API tread_tensor *tread_tanh(tread_tape *tape, tread_tensor *x);
TREAD_API tread_tensor *tread_sigmoid(tread_tape *tape, tread_tensor *x);
/* x / (1-p) where a draw of the tape's random stream keeps it, else 0, each with probability p; 0 <= p < 1. Only while
 * training: in evaluation do not call it (the dropout module does that). Srivastava and others, JMLR 2014. */
TREAD_API tread_tensor *tread_dropout(tread_tape *tape, tread_tensor *x, double p);

/* --- Reductions. Sums run in double. keep_axis leaves the reduced axis with extent 1. --- */
TREAD_API tread_tensor *tread_sum(tread_tape *tape, tread_tensor *x);  /* scalar */
TREAD_API tread_tensor *tread_mean(tread_tape *tape, tread_tensor *x); /* scalar; no elements: TREAD_ERROR_SHAPE */
TREAD_API tread_tensor *tread_sum_axis(tread_tape *tape, tread_tensor *x, int axis, bool keep_axis);
/* Extent 0: TREAD_ERROR_SHAPE. */
TREAD_API tread_tensor *tread_mean_axis(tread_tape *tape, tread_tensor *x, int axis, bool keep_axis);
/* The largest along axis (NaN if any is); the gradient goes to the first of equals. Extent 0: TREAD_ERROR_SHAPE. */
TREAD_API tread_tensor *tread_max_axis(tread_tape *tape, tread_tensor *x, int axis, bool keep_axis);

/* --- Matrix products --- */
/* (..., m, k) x (k, n) -> (..., m, n); or (..., m, k) x (..., k, n) with equal leading axes. */
TREAD_API tread_tensor *tread_matmul(tread_tape *tape, tread_tensor *a, tread_tensor *b);

/* activation(x w^T + b), in one operation: x (..., in), w (out, in), b (out) or NULL -> (..., out).
 *
 * Where the tape's precision is bf16, x and w are float32, and the layer is wide, that is, in and out are both at least
 * TREAD_BF16_WIDTH, its products (y, and in backward the gradients of x and w) read x, w and the gradient before the
 * activation rounded to bfloat16. Sums, bias, activation, y and gradients are float32. Narrower layers stay float32:
 * they are mostly that of the classes, whose outputs the loss reads, and take about a hundredth of a step. A weight
 * that requires a gradient keeps its copy in bfloat16 between steps, which optimizers write; it is made anew in each
 * forward once tread_tensor_data has given the weight's address away, since nobody sees what is written there. */
#define TREAD_BF16_WIDTH 32
TREAD_API tread_tensor *tread_linear(tread_tape *tape, tread_tensor *x, tread_tensor *w, tread_tensor *b,
                                     tread_activation activation);

/* --- Rows of a table by index. weight (rows, width); indices int32, in [0, rows): another is TREAD_ERROR_ARGUMENT that
 * names the place. The gradient of weight is a sum over the places that name a row, in their order. --- */
#define TREAD_NO_PADDING (-1) /* padding_idx is not counted from the end, as PyTorch does with negative ones */

typedef struct tread_embedding_options {
    size_t size;         /* sizeof, set by tread_embedding_defaults() */
    int64_t padding_idx; /* a row that gets no gradient, in [0, rows), or TREAD_NO_PADDING [TREAD_NO_PADDING] */
    bool sparse;         /* leave a sparse gradient (sparse_grad.h) at weight, where it is a leaf whose gradient is not
                          * dense already; float32 only [false] */
} tread_embedding_options;
TREAD_API tread_embedding_options tread_embedding_defaults(void);

/* weight[indices]: indices (...) -> (..., width). options may be NULL. torch.nn.functional.embedding, without max_norm
 * and scale_grad_by_freq. */
TREAD_API tread_tensor *tread_embedding(tread_tape *tape, tread_tensor *weight, tread_tensor *indices,
                                        const tread_embedding_options *options);

typedef struct tread_embedding_bag_options {
    size_t size;         /* sizeof, set by tread_embedding_bag_defaults() */
    int64_t padding_idx; /* a row whose places count for nothing, or TREAD_NO_PADDING [TREAD_NO_PADDING] */
    bool sparse;         /* as above; with MAX too [false] */
    tread_bag_mode mode; /* [TREAD_BAG_MEAN] */
} tread_embedding_bag_options;
TREAD_API tread_embedding_bag_options tread_embedding_bag_defaults(void);

/* The rows of each bag combined: their sum, mean or elementwise maximum (NaN if any is; the gradient goes to the first
 * of equals); zeros where no place counts. offsets NULL: indices (bags, length). Else indices (n), offsets (bags)
 * int32, where each bag begins: 0 first, never falling, at most n. -> (bags, width). torch.nn.functional.embedding_bag,
 * without max_norm, scale_grad_by_freq and per_sample_weights. */
TREAD_API tread_tensor *tread_embedding_bag(tread_tape *tape, tread_tensor *weight, tread_tensor *indices,
                                            tread_tensor *offsets, const tread_embedding_bag_options *options);

/* --- Rows --- */
TREAD_API tread_tensor *tread_softmax(tread_tape *tape, tread_tensor *x, int axis);
TREAD_API tread_tensor *tread_log_softmax(tread_tape *tape, tread_tensor *x, int axis);
/* (x - mean) / sqrt(variance + eps) * gamma + beta over the last axis; gamma and beta (n) or NULL; eps > 0 finite.
 * Ba, Kiros and Hinton 2016. */
TREAD_API tread_tensor *tread_layer_norm(tread_tape *tape, tread_tensor *x, tread_tensor *gamma, tread_tensor *beta,
                                         double eps);

/* --- Shapes; any dtype where no gradient is needed --- */
/* One extent may be -1. */
TREAD_API tread_tensor *tread_reshape(tread_tape *tape, tread_tensor *x, int rank, const int64_t *shape);
TREAD_API tread_tensor *tread_transpose(tread_tape *tape, tread_tensor *x, int axis0, int axis1);
TREAD_API tread_tensor *tread_concat(tread_tape *tape, tread_tensor *const *tensors, size_t n, int axis);
/* Elements [begin, end) of axis; 0 <= begin <= end <= extent. */
TREAD_API tread_tensor *tread_slice(tread_tape *tape, tread_tensor *x, int axis, int64_t begin, int64_t end);

/* --- Losses: scalars. Targets take no gradient unless they require one (mse, l1, huber, bce_with_logits). --- */
typedef enum tread_reduction { TREAD_REDUCTION_MEAN = 0, TREAD_REDUCTION_SUM } tread_reduction;

typedef struct tread_cross_entropy_options {
    size_t size;               /* sizeof, set by tread_cross_entropy_defaults() */
    double label_smoothing;    /* in [0, 1) [0]; ignored by nll. Szegedy and others 2016 */
    int32_t ignore_index;      /* rows with this label count for nothing [-100] */
    tread_reduction reduction; /* MEAN is over the rows that count; with none the loss is NaN, as in PyTorch [MEAN] */
} tread_cross_entropy_options;
TREAD_API tread_cross_entropy_options tread_cross_entropy_defaults(void);

/* -log softmax(logits)[label], mean over rows: logits (n, classes), labels (n) int32 or uint8 in [0, classes) or
 * ignore_index; another label is TREAD_ERROR_ARGUMENT that names the row. */
TREAD_API tread_tensor *tread_cross_entropy(tread_tape *tape, tread_tensor *logits, tread_tensor *labels);
TREAD_API tread_tensor *tread_cross_entropy_with(tread_tape *tape, tread_tensor *logits, tread_tensor *labels,
                                                 const tread_cross_entropy_options *options);
/* -log_probabilities[label]: the same from tread_log_softmax's output. options may be NULL. */
TREAD_API tread_tensor *tread_nll(tread_tape *tape, tread_tensor *log_probabilities, tread_tensor *labels,
                                  const tread_cross_entropy_options *options);
/* Mean over all elements; x and target of one shape. */
TREAD_API tread_tensor *tread_mse(tread_tape *tape, tread_tensor *x, tread_tensor *target); /* (x - t)^2 */
/* |x - t|, gradient 0 at 0 */
TREAD_API tread_tensor *tread_l1(tread_tape *tape, tread_tensor *x, tread_tensor *target);
/* d = x - t: d^2/2 where |d| <= delta, else delta(|d| - delta/2); delta > 0 finite. Huber 1964. */
TREAD_API tread_tensor *tread_huber(tread_tape *tape, tread_tensor *x, tread_tensor *target, double delta);
/* max(x, 0) - x t + log(1 + exp(-|x|)) */
TREAD_API tread_tensor *tread_bce_with_logits(tread_tape *tape, tread_tensor *x, tread_tensor *target);

TREAD_END_DECLS

#endif
