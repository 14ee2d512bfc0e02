/* Layer: cli. What `tread inspect` shows, as text and as JSON. */
#ifndef TREAD_CLI_INSPECT_H
#define TREAD_CLI_INSPECT_H

#include <jansson.h>
#include <tread/tensor_file.h>

/* A tensor of the file: what the header says, and what its values are. */
typedef struct cli_inspected {
    tread_tensor_entry entry;
    tread_tensor_scan scan;
} cli_inspected;

typedef struct cli_inspection {
    const char *path;
    const tread_tensor_file *file;
    cli_inspected *tensors;
    size_t n;
    size_t n_damaged; /* tensors whose hash differs */
    json_t *state;    /* the tree of a checkpoint, where tensors are null; else NULL */
} cli_inspection;

void cli_inspect_print(const cli_inspection *inspection);
/* TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
tread_status cli_inspect_print_json(const cli_inspection *inspection);

#endif
