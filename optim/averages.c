/* Averages of weights that a caller's loop keeps: in place of the weights, and back. */
#include <tread/optimizer.h>

#include "core/status.h"
#include "core/tensor.h"
#include "optim/optimizer.h"

tread_status tread_optimizer_exchange_averages(tread_optimizer *optimizer, float *const *averages, size_t n_averages) {
    TREAD_REFUSE_NULL("optimizer exchange averages", optimizer);
    const char *name = optimizer->type->table.name;
    if (averages == NULL || n_averages != optimizer->n_items)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: exchange averages: %zu averages for %zu parameters", name,
                          averages != NULL ? n_averages : 0, optimizer->n_items);
    if (optimizer->solving)
        return tread_fail(TREAD_ERROR_STATE, "%s: the weights cannot be exchanged within a step", name);
    for (size_t i = 0; i < n_averages; i++)
        if (averages[i] != NULL)
            tread_parameter_exchange(optimizer->items[i].parameter, averages[i]);
    return TREAD_OK;
}
