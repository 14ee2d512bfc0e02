/* Layer: optim. What the options of optimizers and schedulers are called, hold and accept, for help texts and tools.
 *
 * Every option of every algorithm stands in that algorithm's table. Spec strings, setters, validation, state dicts and
 * printing all read it, and so can programs: tread_optimizer_field() and tread_lr_scheduler_field().
 *
 * As text a number is written as C writes it, a boolean true or false, a choice by its name, and several values with
 * slashes between: "0.9/0.999". A scheduler within another stands in brackets: "[linear_lr:total_iters=5]". */
#ifndef TREAD_FIELD_H
#define TREAD_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

TREAD_BEGIN_DECLS

typedef enum tread_field_kind {
    TREAD_FIELD_REAL = 0,         /* double, or an array of n_values of them */
    TREAD_FIELD_INTEGER = 1,      /* int64_t */
    TREAD_FIELD_BOOLEAN = 2,      /* bool */
    TREAD_FIELD_CHOICE = 3,       /* an enum; its names are the range */
    TREAD_FIELD_REAL_LIST = 4,    /* const double * and a count */
    TREAD_FIELD_INTEGER_LIST = 5, /* const int64_t * and a count */
    TREAD_FIELD_FUNCTIONS = 6,    /* const tread_lr_function * and a count; no text can give them */
    TREAD_FIELD_SCHEDULER = 7,    /* tread_lr_scheduler *, or NULL */
    TREAD_FIELD_SCHEDULERS = 8,   /* tread_lr_scheduler *const * and a count */
} tread_field_kind;

typedef struct tread_field_info {
    const char *name; /* static */
    tread_field_kind kind;
    int n_values;          /* values of one field: 2 for betas, else 1; 0 for a list, functions and schedulers */
    bool required;         /* there is no default */
    const char *doc;       /* one line; static */
    char default_text[48]; /* "0.9/0.999"; "none" of what may be empty; "" where required */
    char range[96];        /* "[0, 1)", "true or false", "velocity or pytorch", "functions, in C only" */
    double low, high;      /* bounds of numbers, whether or not they belong to the range themselves */
} tread_field_info;

TREAD_END_DECLS

#endif
