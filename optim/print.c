#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "optim/optimizer.h"

static void print_group(const tread_optimizer *optimizer, size_t g, FILE *file) {
    const tread_field_table *table = &optimizer->type->table;
    const tread_param_group *group = &optimizer->groups[g];
    char number[TREAD_NUMBER_TEXT], shape[TREAD_SHAPE_TEXT], name[TREAD_ITEM_NAME];
    fprintf(file, "  group %zu:", g);
    for (size_t f = 0; f < table->n_fields; f++) {
        tread_report text = {.length = 0};
        tread_field_text(&table->fields[f], group->options, &text);
        fprintf(file, "%s %s %s", f > 0 ? "," : "", table->fields[f].name, text.text);
    }
    if (!isnan(group->initial_lr))
        fprintf(file, ", initial_lr %s", tread_number_text(number, group->initial_lr));
    fprintf(file, "\n");
    for (size_t i = group->first; i < group->first + group->count; i++) {
        const tread_tensor *x = &optimizer->items[i].parameter->tensor;
        fprintf(file, "    %-24s %-16s step %" PRIu64 "\n", tread_item_name(optimizer, i, name),
                tread_shape_text(shape, x->rank, x->shape), optimizer->items[i].progress.step);
    }
}

tread_status tread_optimizer_print(const tread_optimizer *optimizer, FILE *file) {
    TREAD_REFUSE_NULL("optimizer print", optimizer);
    int64_t n_values = 0, n_state = 0;
    for (size_t i = 0; i < optimizer->n_items; i++)
        n_values += optimizer->items[i].n;
    for (size_t g = 0; g < optimizer->n_groups; g++)
        for (int s = 0; s < optimizer->type->n_slots; s++)
            n_state += optimizer->groups[g].memory.slots[s] != NULL ? optimizer->groups[g].n_floats : 0;
    int64_t bytes = n_state * (int64_t)sizeof(float);
    if (optimizer->type->solver_bytes != NULL)
        bytes += (int64_t)optimizer->type->solver_bytes(optimizer->solver);
    fprintf(file, "%s: groups %zu, parameters %zu, values %" PRId64 ", bytes of state %" PRId64 "\n",
            optimizer->type->table.name, optimizer->n_groups, optimizer->n_items, n_values, bytes);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        print_group(optimizer, g, file);
    if (ferror(file))
        return tread_fail(TREAD_ERROR_IO, "%s: writing the view of the optimizer failed", optimizer->type->table.name);
    return TREAD_OK;
}
