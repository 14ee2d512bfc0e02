/* Layer: engine. A file of tensors as callers see it. */
#ifndef TREAD_ENGINE_TENSOR_FILE_H
#define TREAD_ENGINE_TENSOR_FILE_H

#include <tread/tensor_file.h>

#include "engine/checkpoint/safetensors.h"

struct tread_tensor_file {
    tread_safetensors file;
    char *path; /* a copy, which file points to */
};

#endif
