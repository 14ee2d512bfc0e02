/* Layer: engine. Names of parameters in files and states. */
#ifndef TREAD_ENGINE_WEIGHTS_H
#define TREAD_ENGINE_WEIGHTS_H

#include <stdio.h>
#include <tread/parameter.h>

#define TREAD_PARAMETER_NUMBER 32

/* The parameter's name, or "param.<index>" into number. */
static inline const char *tread_parameter_file_name(const tread_parameter *parameter, size_t index,
                                                    char number[TREAD_PARAMETER_NUMBER]) {
    const char *name = tread_parameter_name(parameter);
    if (name != NULL)
        return name;
    snprintf(number, TREAD_PARAMETER_NUMBER, "param.%zu", index);
    return number;
}

#endif
