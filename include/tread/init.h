/* Layer: models. Initial values of weights.
 *
 * Each fills a float32 or float64 tensor, drawing from rng alone, in order: the same rng gives the same bits at any
 * thread count, and is advanced by the numbers used. Errors: TREAD_ERROR_DTYPE (not a float), TREAD_ERROR_ARGUMENT
 * (NULL, or a value not finite or out of the range given), TREAD_ERROR_STATE (a tape's tensor), TREAD_ERROR_SHAPE and
 * TREAD_ERROR_MEMORY where said; x is untouched then. Names and formulas are those of torch.nn.init. */
#ifndef TREAD_INIT_H
#define TREAD_INIT_H

#include <tread/context.h>
#include <tread/ops.h>
#include <tread/random.h>
#include <tread/tensor.h>

TREAD_BEGIN_DECLS

TREAD_API tread_status tread_init_zeros(tread_tensor *x);
TREAD_API tread_status tread_init_ones(tread_tensor *x);
TREAD_API tread_status tread_init_constant(tread_tensor *x, double value);

/* Even over [low, high); rounding to the type may give high itself. low <= high. */
TREAD_API tread_status tread_init_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, double low,
                                          double high);
/* std >= 0. */
TREAD_API tread_status tread_init_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double mean,
                                         double std);
/* Normal, but only in [low, high] (values, not deviations), by inverting the distribution function. std > 0, low <
 * high, and [low, high] must reach within 8 deviations of the mean. */
TREAD_API tread_status tread_init_truncated_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double mean,
                                                   double std, double low, double high);

/* Inputs and outputs of a unit: of a (n_outputs, n_inputs, ...) weight, each times the extents behind them.
 * TREAD_ERROR_SHAPE: rank below 2. */
TREAD_API tread_status tread_init_fans(const tread_tensor *x, int64_t *ret_fan_in, int64_t *ret_fan_out);

/* The factor by which weights in front of an activation are widened: 1 for none and sigmoid, 5/3 for tanh, sqrt(2) for
 * relu, sqrt(2 / (1 + slope^2)) for leaky_relu with slope 0.01, as torch.nn.init.calculate_gain; sqrt(2), relu's, for
 * gelu and silu, which have none there. */
TREAD_API double tread_init_gain(tread_activation activation);

/* Uniform in +-gain sqrt(6 / (fan_in + fan_out)), and normal with std gain sqrt(2 / (fan_in + fan_out)). gain finite,
 * >= 0. TREAD_ERROR_SHAPE: rank below 2. Glorot and Bengio, "Understanding the difficulty of training deep feedforward
 * neural networks", AISTATS 2010. */
TREAD_API tread_status tread_init_xavier_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, double gain);
TREAD_API tread_status tread_init_xavier_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double gain);

typedef enum tread_fan { TREAD_FAN_IN = 0, TREAD_FAN_OUT = 1 } tread_fan;

/* Uniform in +-gain sqrt(3 / fan), and normal with std gain / sqrt(fan). gain finite, >= 0. TREAD_ERROR_SHAPE: rank
 * below 2. He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015. */
TREAD_API tread_status tread_init_kaiming_uniform(tread_context *context, tread_tensor *x, tread_rng *rng,
                                                  tread_fan fan, double gain);
TREAD_API tread_status tread_init_kaiming_normal(tread_context *context, tread_tensor *x, tread_rng *rng, tread_fan fan,
                                                 double gain);

/* gain times a matrix with orthonormal rows, or columns where rows are more, drawn evenly from all such; axes behind
 * the first count as columns. gain finite, >= 0. TREAD_ERROR_SHAPE: rank below 2; TREAD_ERROR_MEMORY. Saxe, McClelland
 * and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014. */
TREAD_API tread_status tread_init_orthogonal(tread_context *context, tread_tensor *x, tread_rng *rng, double gain);

TREAD_END_DECLS

#endif
