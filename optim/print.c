#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "optim/optimizer.h"

/* ---- The groups' values: a line for each field, a column for each group ---- */

#define GROUPS_A_BLOCK 6 /* columns side by side */

/* Rows are the fields, then initial_lr. */
static const char *row_name(const tread_optimizer *optimizer, size_t row) {
    const tread_field_table *table = &optimizer->type->table;
    return row < table->n_fields ? table->fields[row].name : "initial_lr";
}

static const char *cell(const tread_optimizer *optimizer, size_t g, size_t row, tread_report *text) {
    const tread_field_table *table = &optimizer->type->table;
    const tread_param_group *group = &optimizer->groups[g];
    char number[TREAD_NUMBER_TEXT];
    text->length = 0;
    text->text[0] = '\0';
    if (row < table->n_fields)
        tread_field_text(&table->fields[row], group->options, text);
    else
        tread_report_add(text, "%s", isnan(group->initial_lr) ? "-" : tread_number_text(number, group->initial_lr));
    return text->text;
}

static bool differs(const tread_optimizer *optimizer, size_t row) {
    tread_report first, other;
    cell(optimizer, 0, row, &first);
    for (size_t g = 1; g < optimizer->n_groups; g++)
        if (strcmp(cell(optimizer, g, row, &other), first.text) != 0)
            return true;
    return false;
}

static size_t count_rows(const tread_optimizer *optimizer) {
    size_t n = optimizer->type->table.n_fields;
    for (size_t g = 0; g < optimizer->n_groups; g++)
        if (!isnan(optimizer->groups[g].initial_lr))
            return n + 1;
    return n;
}

static void print_values(const tread_optimizer *optimizer, size_t first, size_t end, FILE *file) {
    int name_width = 0, widths[GROUPS_A_BLOCK];
    size_t n_rows = count_rows(optimizer);
    tread_report text;
    for (size_t row = 0; row < n_rows; row++)
        if ((int)strlen(row_name(optimizer, row)) > name_width)
            name_width = (int)strlen(row_name(optimizer, row));
    fprintf(file, "\n  %-*s", name_width, "");
    for (size_t g = first; g < end; g++) {
        int *width = &widths[g - first];
        *width = snprintf(text.text, sizeof text.text, "group %zu", g);
        for (size_t row = 0; row < n_rows; row++)
            if ((int)strlen(cell(optimizer, g, row, &text)) > *width)
                *width = (int)text.length;
        fprintf(file, "  %*sgroup %zu", *width - snprintf(NULL, 0, "group %zu", g), "", g);
    }
    for (size_t row = 0; row < n_rows; row++) {
        fprintf(file, "\n%c %-*s", differs(optimizer, row) ? '*' : ' ', name_width, row_name(optimizer, row));
        for (size_t g = first; g < end; g++)
            fprintf(file, "  %*s", widths[g - first], cell(optimizer, g, row, &text));
    }
    fprintf(file, "\n");
}

/* ---- The parameters ---- */

static void print_parameters(const tread_optimizer *optimizer, size_t g, FILE *file) {
    const tread_param_group *group = &optimizer->groups[g];
    const size_t end = group->first + group->count;
    char shape[TREAD_SHAPE_TEXT], name[TREAD_ITEM_NAME];
    int width = 0;
    for (size_t i = group->first; i < end; i++)
        if ((int)strlen(tread_item_name(optimizer, i, name)) > width)
            width = (int)strlen(tread_item_name(optimizer, i, name));
    fprintf(file, "\ngroup %zu\n", g);
    for (size_t i = group->first; i < end; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        const tread_tensor *x = &item->parameter->tensor;
        fprintf(file, "  %-*s  %-9s  %-16s  step %" PRIu64 "\n", width, tread_item_name(optimizer, i, name),
                tread_role_name(item->parameter->role), tread_shape_text(shape, x->rank, x->shape),
                tread_item_progress(optimizer, i)->step);
    }
}

tread_status tread_optimizer_print(const tread_optimizer *optimizer, FILE *file) {
    TREAD_REFUSE_NULL("optimizer print", optimizer);
    TREAD_REFUSE_NULL("optimizer print", file);
    int64_t n_values = 0, n_state = 0;
    for (size_t i = 0; i < optimizer->n_items; i++)
        n_values += optimizer->items[i].n;
    for (size_t g = 0; g < optimizer->n_groups; g++)
        for (int s = 0; s < optimizer->type->n_slots; s++)
            n_state += optimizer->groups[g].memory.slots[s] != NULL ? optimizer->groups[g].n_floats : 0;
    int64_t bytes = n_state * (int64_t)sizeof(float);
    if (optimizer->type->solver_bytes != NULL)
        bytes += (int64_t)optimizer->type->solver_bytes(optimizer->solver);
    fprintf(file,
            "%s: groups %zu, parameters %zu, values %" PRId64 ", bytes of state %" PRId64 ", sparse gradients %s%s\n",
            optimizer->type->table.name, optimizer->n_groups, optimizer->n_items, n_values, bytes,
            optimizer->type->support_sparse ? "taken" : "refused", optimizer->evaluating ? ", in evaluation mode" : "");
    for (size_t g = 0; g < optimizer->n_groups; g += GROUPS_A_BLOCK)
        print_values(optimizer, g, optimizer->n_groups - g < GROUPS_A_BLOCK ? optimizer->n_groups : g + GROUPS_A_BLOCK,
                     file);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        print_parameters(optimizer, g, file);
    if (ferror(file))
        return tread_fail(TREAD_ERROR_IO, "%s: writing the view of the optimizer failed", optimizer->type->table.name);
    return TREAD_OK;
}
