/* The table of a model's layers: forward runs once, and every module notes its output. */
#include <stdio.h>
#include <string.h>
#include <tread/tape.h>

#include "core/memory.h"
#include "core/status.h"
#include "models/module.h"

static size_t count_modules(const tread_module *module) {
    size_t n = 1;
    for (size_t i = 0; i < module->n_children; i++)
        n += count_modules(module->children[i]);
    return n;
}

/* Rows in the order of the parameters: a module, then what is below it. */
static tread_summary_row *attach(tread_module *module, int depth, tread_summary_row *row) {
    *row = (tread_summary_row){.module = module, .depth = depth, .was_training = module->training};
    module->row = row++;
    for (size_t i = 0; i < module->n_children; i++)
        row = attach(module->children[i], depth + 1, row);
    return row;
}

static void detach(tread_summary_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        rows[i].module->row = NULL;
        rows[i].module->training = rows[i].was_training;
    }
}

static void add_totals(const tread_summary_row *rows, size_t n, tread_module_totals *totals) {
    const tread_module *model = rows[0].module;
    for (size_t i = 0; i < model->n_parameters; i++) {
        const tread_tensor *x = &model->parameters[i]->tensor;
        totals->parameters += x->count;
        totals->trainable += x->requires_grad ? x->count : 0;
        totals->parameter_bytes += (int64_t)tread_tensor_bytes(x);
    }
    for (size_t i = 0; i < n; i++) {
        totals->modules += rows[i].module->n_children == 0;
        bool again = !rows[i].visited || rows[i].module->n_children > 0;
        for (size_t k = 0; k < i && !again; k++) /* in place, or one operation for two layers */
            again = rows[k].visited && rows[k].module->n_children == 0 && rows[k].output->data == rows[i].output->data;
        totals->output_bytes += again ? 0 : (int64_t)tread_tensor_bytes(rows[i].output);
    }
}

static void write_row(FILE *file, const tread_summary_row *row) {
    const tread_module *module = row->module;
    char name[64], settings[64] = "", shape[TREAD_SHAPE_TEXT] = "-";
    snprintf(name, sizeof name, "%*s%s", 2 * row->depth, "",
             module->name != NULL && row->depth > 0 ? module->name : "model");
    if (module->type->describe != NULL)
        module->type->describe(module, settings, sizeof settings);
    if (row->visited)
        tread_shape_text(shape, row->output->rank, row->output->shape);
    int64_t count = 0, bytes = 0;
    for (size_t i = 0; i < module->n_own; i++) {
        count += module->parameters[i]->tensor.count;
        bytes += (int64_t)tread_tensor_bytes(&module->parameters[i]->tensor);
    }
    fprintf(file, "%-16s %-12s %-24s %-16s %12lld %14lld\n", name, module->type->name, settings, shape,
            (long long)count, (long long)bytes);
}

static tread_status write_table(FILE *file, const tread_summary_row *rows, size_t n,
                                const tread_module_totals *totals) {
    fprintf(file, "%-16s %-12s %-24s %-16s %12s %14s\n", "name", "kind", "settings", "output", "parameters", "bytes");
    for (size_t i = 0; i < n; i++)
        write_row(file, &rows[i]);
    fprintf(file, "%lld layers, %lld parameters (%lld trainable), %lld bytes; outputs %lld bytes\n",
            (long long)totals->modules, (long long)totals->parameters, (long long)totals->trainable,
            (long long)totals->parameter_bytes, (long long)totals->output_bytes);
    if (fflush(file) != 0 || ferror(file))
        return tread_fail(TREAD_ERROR_IO, "module summary: the table could not be written");
    return TREAD_OK;
}

/* Runs module on x and fills the rows' outputs, which live as long as tape. */
static tread_status visit(tread_module *module, tread_tape *tape, tread_tensor *x) {
    tread_module_train(module, false);
    bool before = tread_set_grad_enabled(false);
    tread_tensor *y = tread_forward(module, tape, x);
    tread_set_grad_enabled(before);
    return y != NULL ? TREAD_OK : tread_tape_status(tape);
}

tread_status tread_module_summary(tread_module *module, FILE *file, tread_dtype dtype, int rank, const int64_t *shape,
                                  tread_module_totals *ret_totals) {
    if (module == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "module summary: the module is NULL");
    size_t n = count_modules(module);
    tread_tensor probe = {0};
    TREAD_TRY(tread_tensor_init(&probe, dtype, rank, shape));
    tread_tensor *x = tread_tensor_create(dtype, rank, shape);
    tread_tape *tape = x == NULL ? NULL : tread_tape_create(module->context);
    tread_summary_row *rows = tape == NULL ? NULL : tread_calloc(n, sizeof *rows, "a model's summary");
    tread_status status = rows == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
    tread_module_totals totals = {0};
    if (status == TREAD_OK) {
        attach(module, 0, rows);
        status = visit(module, tape, x);
        detach(rows, n);
    }
    if (status == TREAD_OK) {
        add_totals(rows, n, &totals);
        if (file != NULL)
            status = write_table(file, rows, n, &totals);
    }
    tread_free(rows);
    tread_tape_destroy(tape);
    tread_tensor_destroy(x);
    if (status == TREAD_OK && ret_totals != NULL)
        *ret_totals = totals;
    return status;
}
