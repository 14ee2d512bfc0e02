#include "core/status.h"
#include "optim/optimizer.h"

/* "sgd, adam, adamw" */
static void list_supporting(tread_report *report) {
    for (size_t t = 0; tread_optimizer_types[t] != NULL; t++)
        if (tread_optimizer_types[t]->support_sparse)
            tread_report_item(report, tread_optimizer_types[t]->table.name);
}

static tread_status refuse_type(const tread_optimizer *optimizer, const char *parameter) {
    tread_report supporting = {.length = 0};
    list_supporting(&supporting);
    return tread_fail(
        TREAD_ERROR_STATE,
        "%s: the gradient of parameter '%s' is sparse, which this optimizer does not take; %s do. Give the "
        "embedding sparse = false, or make the gradient dense with tread_tensor_densify_grad()",
        optimizer->type->table.name, parameter, supporting.text);
}

static tread_status check_group(const tread_optimizer *optimizer, const tread_param_group *group) {
    const tread_optimizer_type *type = optimizer->type;
    const double decay = type->l2_decay ? *(const double *)tread_group_option(optimizer, group, "weight_decay") : 0;
    if (type->support_sparse && decay == 0)
        return TREAD_OK;
    for (size_t i = group->first; i < group->first + group->count; i++) {
        char buffer[TREAD_ITEM_NAME], number[TREAD_NUMBER_TEXT];
        if (optimizer->items[i].parameter->tensor.grad_state != TREAD_GRAD_SPARSE)
            continue;
        if (!type->support_sparse)
            return refuse_type(optimizer, tread_item_name(optimizer, i, buffer));
        return tread_fail(
            TREAD_ERROR_STATE,
            "%s: weight_decay = %s is added to the gradient, and that of parameter '%s' is sparse: it must "
            "be 0 in such a group",
            type->table.name, tread_number_text(number, decay), tread_item_name(optimizer, i, buffer));
    }
    return TREAD_OK;
}

tread_status tread_optimizer_check_sparse(const tread_optimizer *optimizer) {
    for (size_t g = 0; g < optimizer->n_groups; g++)
        TREAD_TRY(check_group(optimizer, &optimizer->groups[g]));
    return TREAD_OK;
}
