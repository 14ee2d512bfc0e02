#include "cli/trained.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/models.h>
#include <tread/optimizer.h>
#include <tread/tensor_file.h>
#include <tread/weights.h>

#include "cli/groups.h"
#include "cli/setup.h"

/* ---- Sizes, from the tensors ---- */

typedef struct layer {
    long number;
    int64_t inputs, outputs;
} layer;

typedef struct layers {
    layer items[CLI_MAX_SIZES + 1];
    size_t n;
} layers;

/* "2.weight", in a checkpoint "model.2.weight". */
static bool read_name(const char *name, bool in_checkpoint, long *ret_number) {
    static const char prefix[] = "model.";
    char *end;
    if (in_checkpoint && strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    name += in_checkpoint ? sizeof prefix - 1 : 0;
    *ret_number = strtol(name, &end, 10);
    return end != name && strcmp(end, ".weight") == 0;
}

static int by_number(const void *a, const void *b) {
    const layer *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static bool read_layers(const char *path, const tread_tensor_file *file, layers *ret_layers) {
    layers l = {.n = 0};
    tread_tensor_entry entry;
    const bool in_checkpoint = tread_tensor_file_has_state(file);
    for (size_t i = 0; i < tread_tensor_file_count(file); i++) {
        long number;
        CLI_TRY(tread_tensor_file_entry(file, i, &entry) == TREAD_OK);
        if (entry.rank != 2 || !read_name(entry.name, in_checkpoint, &number))
            continue;
        if (l.n == sizeof l.items / sizeof *l.items) {
            tread_fail(TREAD_ERROR_FORMAT, "%s: more than %zu layers", path, l.n);
            return false;
        }
        l.items[l.n++] = (layer){number, entry.shape[1], entry.shape[0]};
    }
    qsort(l.items, l.n, sizeof *l.items, by_number);
    bool fits = l.n > 0;
    for (size_t i = 1; i < l.n; i++)
        fits &= l.items[i].inputs == l.items[i - 1].outputs;
    if (!fits)
        tread_fail(TREAD_ERROR_FORMAT, "%s: its tensors are not the layers of an mlp", path);
    *ret_layers = l;
    return fits;
}

static bool build(cli_trained *trained, tread_context *context, const layers *l, int activation) {
    int64_t hidden[CLI_MAX_SIZES + 1];
    tread_mlp_options o = tread_mlp_defaults();
    for (size_t i = 0; i + 1 < l->n; i++)
        hidden[i] = l->items[i].outputs;
    o.n_inputs = trained->n_inputs = l->items[0].inputs;
    o.n_outputs = trained->n_outputs = l->items[l->n - 1].outputs;
    o.hidden = hidden;
    o.n_hidden = l->n - 1;
    o.activation = (tread_activation)activation;
    trained->model = tread_mlp(context, &o);
    return trained->model != NULL;
}

static int choose_activation(const cli_trained *trained, int activation) {
    const char *name = cli_trained_option(trained, "activation");
    for (int i = 0; activation < 0 && name != NULL && cli_activation_names[i] != NULL; i++)
        if (strcmp(name, cli_activation_names[i]) == 0)
            return i;
    return activation >= 0 ? activation : TREAD_ACTIVATION_RELU;
}

/* ---- Weights ---- */

/* A part of the state as if it were its model. */
static bool load_part(const cli_trained *trained, const tread_state *part) {
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = tread_module_parameters(trained->model);
    tread_state *root = tread_state_create();
    tread_state *model = root != NULL ? tread_state_add_tree(root, "model") : NULL;
    bool good = model != NULL;
    for (size_t i = 0; good && i < tread_state_count(part); i++) {
        const tread_tensor *tensor;
        const tread_state *at = tread_state_at(part, i);
        good = tread_state_as_tensor(at, &tensor) == TREAD_OK &&
               tread_state_add_tensor_copy(model, tread_state_name(at), tensor) == TREAD_OK;
    }
    good = good && tread_run_load(&parts, root) == TREAD_OK;
    tread_state_destroy(root);
    return good;
}

/* The groups as they were asked for. */
static void read_groups(const cli_trained *trained, cli_groups_options *ret_groups) {
    const tread_state *list = tread_state_find(trained->program, "group");
    int64_t split = 0;
    tread_state_get_integer(trained->program, "split-decay", &split);
    *ret_groups = (cli_groups_options){.split_decay = split != 0, .adamw = cli_trained_option(trained, "adamw")};
    for (size_t i = 0; list != NULL && i < tread_state_count(list) && i < CLI_MAX_TEXTS; i++)
        if (tread_state_as_string(tread_state_at(list, i), &ret_groups->rules.values[i]) == TREAD_OK)
            ret_groups->rules.count = i + 1;
}

/* The optimizer itself knows how its average comes about. */
static bool load_averaged(const cli_trained *trained, const cli_command *command, const tread_context *context,
                          const char *spec) {
    static cli_groups groups; /* which is large */
    cli_groups_options asked;
    tread_run_parts parts = tread_run_parts_defaults();
    read_groups(trained, &asked);
    if (!cli_groups_read(command, context, spec, &asked, &groups))
        return false;
    parts.parameters = tread_module_parameters(trained->model);
    parts.optimizer = tread_optimizer_from_groups(context, parts.parameters, spec, &groups.options);
    bool good = parts.optimizer != NULL && tread_run_load(&parts, trained->state) == TREAD_OK &&
                tread_optimizer_set_training(parts.optimizer, false) == TREAD_OK;
    tread_optimizer_destroy(parts.optimizer);
    return good;
}

static bool load_checkpoint(cli_trained *trained, const cli_command *command, const tread_context *context) {
    static const char *const names[] = {"best", "ema", "model"};
    const char *optimizer = cli_trained_option(trained, "optimizer");
    const tread_state *part = NULL;
    for (size_t i = 0; i < 3 && part == NULL; i++) {
        trained->weights = names[i];
        part = tread_state_find(trained->state, names[i]);
    }
    if (part == NULL) {
        tread_fail(TREAD_ERROR_FORMAT, "the checkpoint has no model");
        return false;
    }
    if (strcmp(trained->weights, "model") == 0 && optimizer != NULL &&
        strncmp(optimizer, "schedule_free", strlen("schedule_free")) == 0) {
        trained->weights = "averaged";
        return load_averaged(trained, command, context, optimizer);
    }
    return load_part(trained, part);
}

static bool open_file(cli_trained *trained, const cli_command *command, tread_context *context, const char *path,
                      const tread_tensor_file *file, int activation) {
    layers l;
    tread_weights_report report;
    CLI_TRY(read_layers(path, file, &l));
    if (tread_tensor_file_has_state(file)) {
        CLI_TRY(tread_checkpoint_load(path, &trained->state) == TREAD_OK);
        trained->program = tread_state_find(trained->state, "program");
    }
    CLI_TRY(build(trained, context, &l, choose_activation(trained, activation)));
    if (trained->state != NULL)
        return load_checkpoint(trained, command, context);
    trained->weights = "weights";
    return tread_weights_load(tread_module_parameters(trained->model), path, &report) == TREAD_OK;
}

bool cli_trained_open(cli_trained *trained, const cli_command *command, tread_context *context, const char *path,
                      int activation) {
    tread_tensor_file *file = tread_tensor_file_open(path);
    bool good = file != NULL && open_file(trained, command, context, path, file, activation);
    tread_tensor_file_close(file);
    return good;
}

void cli_trained_close(cli_trained *trained) {
    tread_module_destroy(trained->model);
    tread_state_destroy(trained->state);
}

/* ---- What a checkpoint says ---- */

const char *cli_trained_option(const cli_trained *trained, const char *name) {
    const tread_state *part = trained->program != NULL ? tread_state_find(trained->program, name) : NULL;
    const char *text;
    return part != NULL && tread_state_as_string(part, &text) == TREAD_OK ? text : NULL;
}

const tread_state *cli_trained_inputs(const cli_trained *trained) {
    const tread_state *data = trained->state != NULL ? tread_state_find(trained->state, "data") : NULL;
    return data != NULL ? tread_state_find(data, "set") : NULL;
}

const char *cli_trained_class(const cli_trained *trained, int64_t i) {
    const tread_state *set = cli_trained_inputs(trained);
    const tread_state *names = set != NULL ? tread_state_find(set, "classes") : NULL;
    const tread_state *name = names != NULL ? tread_state_at(names, (size_t)i) : NULL;
    const char *text;
    return name != NULL && tread_state_as_string(name, &text) == TREAD_OK ? text : NULL;
}

int cli_trained_classifies(const cli_trained *trained) {
    const tread_state *data = trained->state != NULL ? tread_state_find(trained->state, "data") : NULL;
    int64_t classes;
    return data != NULL && tread_state_get_integer(data, "classes", &classes) == TREAD_OK ? classes > 0 : -1;
}
