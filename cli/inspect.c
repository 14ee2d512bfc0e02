/* tread inspect: what is in a checkpoint, a file of weights, or a safetensors file of another program. */
#include "cli/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/checkpoint.h>

#include "cli/commands.h"
#include "cli/progress.h"

typedef struct inspect_options {
    const char *path;
    bool json;
} inspect_options;

static const cli_option options_table[] = {
    {.name = "json",
     .doc = "write one JSON object instead of text",
     .kind = CLI_SWITCH,
     .offset = offsetof(inspect_options, json)},
};

static tread_status scan(cli_inspection *inspection) {
    inspection->n = tread_tensor_file_count(inspection->file);
    inspection->tensors = calloc(inspection->n + 1, sizeof *inspection->tensors);
    if (inspection->tensors == NULL)
        return tread_fail(TREAD_ERROR_MEMORY, "out of memory for a table of %zu tensors", inspection->n);
    for (size_t i = 0; i < inspection->n; i++) {
        cli_inspected *tensor = &inspection->tensors[i];
        tread_status status = tread_tensor_file_entry(inspection->file, i, &tensor->entry);
        if (status == TREAD_OK)
            status = tread_tensor_file_scan(inspection->file, i, &tensor->scan);
        if (status != TREAD_OK)
            return status;
        inspection->n_damaged += tensor->scan.hash_differs;
    }
    return TREAD_OK;
}

/* The library has checked the text: it is JSON. */
static json_t *parse_state(const tread_tensor_file *file) {
    const char *name, *value;
    for (size_t i = 0; tread_tensor_file_metadata(file, i, &name, &value); i++)
        if (strcmp(name, "tread") == 0) {
            json_t *tree = json_loads(value, 0, NULL), *state = json_incref(json_object_get(tree, "state"));
            json_decref(tree);
            return state;
        }
    return NULL;
}

/* Whether all of a checkpoint goes together, as loading it would find. */
static tread_status check(const cli_inspection *inspection) {
    tread_state *state;
    if (inspection->n_damaged > 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: the values of %zu tensor%s are damaged", inspection->path,
                          inspection->n_damaged, inspection->n_damaged == 1 ? "" : "s");
    if (inspection->state == NULL)
        return TREAD_OK;
    tread_status status = tread_checkpoint_load(inspection->path, &state);
    if (status == TREAD_OK)
        tread_state_destroy(state);
    return status;
}

static bool inspect(const inspect_options *o, cli_inspection *inspection) {
    CLI_TRY(scan(inspection) == TREAD_OK);
    if (tread_tensor_file_has_state(inspection->file))
        inspection->state = parse_state(inspection->file);
    if (o->json)
        CLI_TRY(cli_inspect_print_json(inspection) == TREAD_OK);
    else
        cli_inspect_print(inspection);
    CLI_TRY(cli_flush_output());
    return check(inspection) == TREAD_OK;
}

static int run_inspect(const cli_command *command, int argc, char **argv) {
    inspect_options o = {.path = NULL};
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (o.path == NULL)
        return cli_misuse(command, "no FILE is given");
    tread_tensor_file *file = tread_tensor_file_open(o.path);
    cli_inspection inspection = {.path = o.path, .file = file};
    code = file != NULL && inspect(&o, &inspection) ? CLI_DONE : cli_fail(command, "%s", tread_last_error());
    free(inspection.tensors);
    json_decref(inspection.state);
    tread_tensor_file_close(file);
    return code;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .summary =
        "Shows what is in a checkpoint or a file of weights: tensors, hyper-parameters, whether hashes are right.",
    .usage = "FILE [options]",
    .doc = "Any file in the safetensors format will do; those that Tread wrote have hashes, which are checked.\n"
           "Minimum, maximum and mean are over the elements that are finite.",
    .run = run_inspect,
    .only_shows = true,
    .n_operands = 1,
    .operand_offset = offsetof(inspect_options, path),
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
