#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inspect.h"
#include "cli/printable.h"

static const char *kind_of(const cli_inspection *inspection) {
    if (tread_tensor_file_has_state(inspection->file))
        return "checkpoint";
    return tread_tensor_file_has_hashes(inspection->file) ? "weights" : "safetensors";
}

static const char *shape_text(const tread_tensor_entry *entry, char text[160]) {
    size_t length = (size_t)sprintf(text, "(");
    if (entry->rank < 0)
        return "(...)";
    for (int i = 0; i < entry->rank; i++)
        length += (size_t)sprintf(text + length, "%s%" PRId64, i > 0 ? ", " : "", entry->shape[i]);
    sprintf(text + length, ")");
    return text;
}

/* "-" where there is none. */
static void print_number(double value) {
    if (isnan(value))
        printf(" %12s", "-");
    else
        printf(" %12.6g", value);
}

static void print_tensors(const cli_inspection *inspection) {
    char text[160], printable[CLI_PRINTABLE];
    int name = 6, shape = 5;
    for (size_t i = 0; i < inspection->n; i++) {
        int length = (int)strlen(cli_printable(printable, inspection->tensors[i].entry.name));
        name = length > name ? length : name;
        length = (int)strlen(shape_text(&inspection->tensors[i].entry, text));
        shape = length > shape ? length : shape;
    }
    printf("\n%-*s %-7s %-*s %12s %12s %12s %12s %10s\n", name, "tensor", "type", shape, "shape", "bytes", "min", "max",
           "mean", "not finite");
    for (size_t i = 0; i < inspection->n; i++) {
        const cli_inspected *t = &inspection->tensors[i];
        printf("%-*s %-7s %-*s %12" PRIu64, name, cli_printable(printable, t->entry.name), t->entry.dtype, shape,
               shape_text(&t->entry, text), t->entry.bytes);
        print_number(t->scan.min);
        print_number(t->scan.max);
        print_number(t->scan.mean);
        printf(" %10" PRId64 "%s\n", t->scan.n_not_finite, t->scan.hash_differs ? "  DAMAGED" : "");
    }
}

/* As few digits as give the same number back. */
static void print_real(const char *path, double value) {
    char text[40];
    int digits = 1;
    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && digits++ < 17);
    printf("%s = %s\n", path, text);
}

/* Numbers and strings by their dotted names; tensors are in the table. */
static void print_tree(json_t *node, const char *path) {
    char below[CLI_PRINTABLE], printable[CLI_PRINTABLE];
    const char *name;
    json_t *part;
    size_t i;
    json_object_foreach(node, name, part) {
        snprintf(below, sizeof below, "%s%s%s", path, *path != '\0' ? "." : "", cli_printable(printable, name));
        print_tree(part, below);
    }
    json_array_foreach(node, i, part) {
        snprintf(below, sizeof below, "%s%s%zu", path, *path != '\0' ? "." : "", i);
        print_tree(part, below);
    }
    if (json_is_real(node))
        print_real(path, json_real_value(node));
    else if (json_is_integer(node))
        printf("%s = %" JSON_INTEGER_FORMAT "\n", path, json_integer_value(node));
    else if (json_is_string(node))
        printf("%s = '%s'\n", path, cli_printable(printable, json_string_value(node)));
}

void cli_inspect_print(const cli_inspection *inspection) {
    const char *name, *value;
    char first[CLI_PRINTABLE], second[CLI_PRINTABLE];
    uint64_t bytes = 0;
    for (size_t i = 0; i < inspection->n; i++)
        bytes += inspection->tensors[i].entry.bytes;
    printf("%s: %s, %zu tensor%s, %" PRIu64 " bytes of values\n", inspection->path, kind_of(inspection), inspection->n,
           inspection->n == 1 ? "" : "s", bytes);
    if (!tread_tensor_file_has_hashes(inspection->file))
        printf("hashes: the file has none\n");
    else if (inspection->n_damaged == 0)
        printf("hashes: those of the header and of all tensors are right\n");
    else
        printf("hashes: that of the header is right, those of %zu tensors differ\n", inspection->n_damaged);
    for (size_t i = 0; tread_tensor_file_metadata(inspection->file, i, &name, &value); i++)
        if (strcmp(name, "tread") != 0)
            printf("%s: %s\n", cli_printable(first, name), cli_printable(second, value));
    if (inspection->n > 0)
        print_tensors(inspection);
    if (inspection->state != NULL) {
        printf("\n");
        print_tree(inspection->state, "");
    }
}

/* ---- JSON ---- */

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *encode_tensor(const cli_inspected *t) {
    json_t *shape = t->entry.rank < 0 ? json_null() : json_array();
    for (int i = 0; i < t->entry.rank; i++)
        json_array_append_new(shape, json_integer(t->entry.shape[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:s, s:b}", "name", t->entry.name, "dtype",
                     t->entry.dtype, "shape", shape, "bytes", (json_int_t)t->entry.bytes, "elements",
                     (json_int_t)t->scan.n, "min", real(t->scan.min), "max", real(t->scan.max), "mean",
                     real(t->scan.mean), "not_finite", (json_int_t)t->scan.n_not_finite, "hash", t->scan.hash,
                     "damaged", (int)t->scan.hash_differs);
}

static json_t *encode_metadata(const tread_tensor_file *file) {
    const char *name, *value;
    json_t *metadata = json_object();
    for (size_t i = 0; tread_tensor_file_metadata(file, i, &name, &value); i++)
        if (strcmp(name, "tread") != 0)
            json_object_set_new(metadata, name, json_string(value));
    return metadata;
}

tread_status cli_inspect_print_json(const cli_inspection *inspection) {
    json_t *tensors = json_array();
    for (size_t i = 0; i < inspection->n; i++)
        json_array_append_new(tensors, encode_tensor(&inspection->tensors[i]));
    const char *hashes = !tread_tensor_file_has_hashes(inspection->file) ? "none"
                         : inspection->n_damaged == 0                    ? "right"
                                                                         : "wrong";
    json_t *all = json_pack("{s:s, s:s, s:s, s:o, s:o, s:O*}", "file", inspection->path, "kind", kind_of(inspection),
                            "hashes", hashes, "metadata", encode_metadata(inspection->file), "tensors", tensors,
                            "state", inspection->state);
    if (all == NULL)
        return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory, or the file's name is not UTF-8", inspection->path);
    int result = json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
    return result == 0 ? TREAD_OK : tread_fail(TREAD_ERROR_IO, "standard output cannot be written");
}
