/* Layer: models. What the initializers share. */
#ifndef TREAD_MODELS_INIT_H
#define TREAD_MODELS_INIT_H

#include <tread/init.h>

#include "core/tensor.h"

/* What every initializer refuses; call begins the sentence. */
tread_status tread_init_check(const char *call, const tread_tensor *x, const tread_rng *rng);
/* TREAD_ERROR_ARGUMENT unless low <= value <= high (not NaN): "call: name = value is outside [low, high]". */
tread_status tread_init_check_range(const char *call, const char *name, double value, double low, double high);

#endif
