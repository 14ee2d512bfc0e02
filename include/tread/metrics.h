/* Layer: engine. Metrics of an evaluation: means over samples of something computed from a model's output. */
#ifndef TREAD_METRICS_H
#define TREAD_METRICS_H

#include <tread/data.h>

TREAD_BEGIN_DECLS

/* A metric is a constant, or a struct of the caller's that outlives its users. Its value is the sum of ret_sum over the
 * batches divided by the sum of ret_weight. */
typedef struct tread_metric {
    const char *name; /* "accuracy" */
    bool higher_is_better;
    /* Adds nothing up itself: gives this batch's sum and weight (usually the number of samples). May fail with
     * tread_fail. */
    tread_status (*batch)(void *data, const tread_tensor *output, const tread_batch *batch, double *ret_sum,
                          double *ret_weight);
    void *data; /* given to batch() */
} tread_metric;

/* Share of samples whose largest output, the first of equals, is at the label: output (n, classes) float32 or float64,
 * labels (n) int32. A row with a NaN counts as wrong. TREAD_ERROR_SHAPE, TREAD_ERROR_DTYPE. */
TREAD_API extern const tread_metric tread_accuracy;

TREAD_END_DECLS

#endif
