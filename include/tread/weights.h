/* Layer: engine. A model's parameters in a file, by name, in the safetensors format, which many programs read:
 * 8 bytes little-endian length of the header, the header in JSON, the values in float32 one after the other
 * (https://github.com/huggingface/safetensors). What Tread writes has hashes in the metadata too: see checkpoint.h. */
#ifndef TREAD_WEIGHTS_H
#define TREAD_WEIGHTS_H

#include <tread/parameter.h>

TREAD_BEGIN_DECLS

/* Writes every parameter under its name; one without is "param.<index>". The file appears whole or not at all: it is
 * written under another name in the same folder, synced, and renamed; an older file of that name stays until then, and
 * its mode is kept. TREAD_ERROR_IO names path, step and reason; TREAD_ERROR_ARGUMENT: an empty list, or a name twice;
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_weights_save(tread_parameter_list parameters, const char *path);

/* What a file held; for messages. */
typedef struct tread_weights_report {
    size_t n_tensors;
    int64_t n_values;
    int64_t n_not_finite; /* values that are NaN or infinite: they are loaded as they are */
} tread_weights_report;

/* Reads every parameter, from what tread_weights_save wrote, a checkpoint's "model" (checkpoint.h), or a file of
 * another program. The file is checked whole before the first parameter changes, values that have a hash against it;
 * its tensors (of a checkpoint those of the model) must be those of parameters, in any order, by name, shape and type
 * float32. ret_report may be NULL. TREAD_ERROR_IO; TREAD_ERROR_FORMAT (not a safetensors file, damaged or truncated;
 * the sentence says where); TREAD_ERROR_SHAPE (a file for another model: every missing, unknown and different tensor is
 * listed); TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_weights_load(tread_parameter_list parameters, const char *path,
                                          tread_weights_report *ret_report);

TREAD_END_DECLS

#endif
