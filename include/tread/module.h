/* Layer: models. Modules: layers and what is built of them. A module owns its parameters and its children, and has one
 * function, from a tensor to a tensor.
 *
 *     tread_module *net = tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 784, 128, true),
 *                                                             tread_relu_layer(NULL),
 *                                                             tread_linear_layer(NULL, 128, 10, true)));
 *     tread_tensor *logits = tread_forward(net, tape, x);
 *
 * - A model is a module that is part of no other. It owns all parameters below it in one flat block, and one of
 *   gradients beside it. The caller destroys it, after what was made with it; its parts go with it.
 * - When a module becomes part of another its parameters get new names ("weight" becomes "0.weight") and their memory
 *   moves; tread_parameter and tread_tensor handles stay good, data pointers and lists taken before do not.
 * - A new model draws its initial values: parameter i from number stream i of the context's seed, so that the same
 *   model with the same seed has the same bits, at any thread count, and no two layers start alike. A module that
 *   becomes part of another is drawn anew under its new number, unless its values were changed or drawn by
 *   tread_module_initialize: those are kept.
 * - One module is used by one thread at a time. */
#ifndef TREAD_MODULE_H
#define TREAD_MODULE_H

#include <stdio.h>
#include <tread/context.h>
#include <tread/ops.h>
#include <tread/parameter.h>
#include <tread/random.h>
#include <tread/tape.h>

TREAD_BEGIN_DECLS

typedef struct tread_module tread_module;

/* --- Using modules --- */

/* The module's output for x. NULL with the tape's error set on failure (tape.h): what the operations fail with;
 * TREAD_ERROR_ARGUMENT (module NULL); TREAD_ERROR_CALLBACK (a module of the caller's returned NULL without an error).
 */
TREAD_API tread_tensor *tread_forward(tread_module *module, tread_tape *tape, tread_tensor *x);

/* Training mode, on at first, of the module and everything below: dropout acts only in it. */
TREAD_API void tread_module_train(tread_module *module, bool training);
TREAD_API bool tread_module_is_training(const tread_module *module);

/* All parameters, in order: a module's own, then its children's. Owned by the model; good until it becomes part of a
 * larger one. */
TREAD_API tread_parameter_list tread_module_parameters(const tread_module *module);
/* By dotted name, as seen from this module. NULL: TREAD_ERROR_ARGUMENT, with the names there are. */
TREAD_API tread_parameter *tread_module_parameter(const tread_module *module, const char *name);
/* All gradients become zeros, or none. */
TREAD_API void tread_module_zero_grad(tread_module *module, bool set_to_none);
/* Draws the initial values anew, from seed instead of the context's; gradients stay. TREAD_ERROR_MEMORY, or what an
 * initialize function of the caller's fails with; parameters before the failing one are changed then. */
TREAD_API tread_status tread_module_initialize(tread_module *module, uint64_t seed);

TREAD_API void tread_module_destroy(tread_module *module); /* NULL, and a part of another module, are left alone */

/* --- Layers. Each returns NULL on failure: TREAD_ERROR_ARGUMENT (a value out of range), TREAD_ERROR_SHAPE (more
 * elements than memory can have), TREAD_ERROR_MEMORY. --- */

/* x w^T + b: (..., n_inputs) -> (..., n_outputs); both >= 1. Parameters weight (n_outputs, n_inputs) and, with bias,
 * bias (n_outputs), both uniform in +-1/sqrt(n_inputs) at first, as in PyTorch (Kaiming uniform with gain sqrt(1/3)).
 */
TREAD_API tread_module *tread_linear_layer(tread_context *context, int64_t n_inputs, int64_t n_outputs, bool bias);

/* Elementwise; shape stays. */
TREAD_API tread_module *tread_activation_layer(tread_context *context, tread_activation activation);
static inline tread_module *tread_relu_layer(tread_context *context) {
    return tread_activation_layer(context, TREAD_ACTIVATION_RELU);
}
static inline tread_module *tread_gelu_layer(tread_context *context) {
    return tread_activation_layer(context, TREAD_ACTIVATION_GELU);
}
static inline tread_module *tread_silu_layer(tread_context *context) {
    return tread_activation_layer(context, TREAD_ACTIVATION_SILU);
}
static inline tread_module *tread_tanh_layer(tread_context *context) {
    return tread_activation_layer(context, TREAD_ACTIVATION_TANH);
}
static inline tread_module *tread_sigmoid_layer(tread_context *context) {
    return tread_activation_layer(context, TREAD_ACTIVATION_SIGMOID);
}
TREAD_API tread_module *tread_leaky_relu_layer(tread_context *context, double slope); /* finite; usual is 0.01 */

/* While training: zero with probability p in [0, 1), else x / (1 - p); in evaluation x itself. */
TREAD_API tread_module *tread_dropout_layer(tread_context *context, double p);

/* Over the last axis, of extent n >= 1; eps > 0 finite, usual is 1e-5. With affine: parameters weight (n), ones at
 * first, and bias (n), zeros. */
TREAD_API tread_module *tread_layer_norm_layer(tread_context *context, int64_t n, double eps, bool affine);

/* tread_embedding: int32 indices (...) -> (..., width); n_rows, width >= 1; options may be NULL, padding_idx in
 * [0, n_rows) or TREAD_NO_PADDING. Parameter weight (n_rows, width), of role embedding: normal with deviation 1 at
 * first, the padding row zeros, as in PyTorch. */
TREAD_API tread_module *tread_embedding_layer(tread_context *context, int64_t n_rows, int64_t width,
                                              const tread_embedding_options *options);
/* tread_embedding_bag: int32 indices (bags, length) -> (bags, width); bags of fewer than length indices are filled up
 * with padding_idx. The rest is as above. */
TREAD_API tread_module *tread_embedding_bag_layer(tread_context *context, int64_t n_rows, int64_t width,
                                                  const tread_embedding_bag_options *options);

/* One after the other; the children's names are "0", "1", ... It takes the layers over, and where it fails it destroys
 * them, so that constructors may stand in the call; a NULL among them is TREAD_ERROR_ARGUMENT that quotes the last
 * error. No layers: the identity. A linear layer and the activation behind it run as one operation, with the same
 * result. */
TREAD_API tread_module *tread_sequential(tread_context *context, tread_module *const *layers, size_t n);
/* The last two arguments of tread_sequential. */
#define TREAD_LAYERS(...)                                                                                              \
    (tread_module *const[]){__VA_ARGS__}, sizeof((tread_module *const[]){__VA_ARGS__}) / sizeof(tread_module *)

/* --- Modules of your own --- */

/* What is common to all modules of a kind; must outlive them. */
typedef struct tread_module_type {
    const char *name; /* for summaries and errors */
    /* Computes the output with operations and children (tread_forward on each); NULL on failure. */
    tread_tensor *(*forward)(tread_module *module, tread_tape *tape, tread_tensor *x);
    /* Sets the initial values of the module's own parameter i, e.g. with a function of init.h, drawing from rng alone.
     * NULL: parameters are zeros at first. */
    tread_status (*initialize)(const tread_module *module, size_t i, tread_tensor *parameter, tread_rng *rng);
    /* Writes the settings for the summary ("784 -> 512"), as snprintf. NULL: nothing to say. */
    void (*describe)(const tread_module *module, char *ret_text, size_t size);
    /* Frees what tread_module_create got as state. NULL: nothing to free. */
    void (*destroy)(void *state);
} tread_module_type;

/* A parameter that a module is to have. The name is one word without dots, such as "weight". */
typedef struct tread_parameter_shape {
    const char *name;
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    tread_parameter_role role; /* [TREAD_ROLE_WEIGHT] */
} tread_parameter_shape;

/* A child under its name, likewise without dots. */
typedef struct tread_named_module {
    const char *name;
    tread_module *module;
} tread_named_module;

/* A module with own parameters (float32) and children, both copied from the arrays, which may be NULL where there are
 * none. Takes state and the children over, and destroys them where it fails. NULL: TREAD_ERROR_ARGUMENT (type or
 * forward missing; a name that is empty, has a dot or is there twice; no such role; a child that is NULL, twice there,
 * or part of another module), TREAD_ERROR_SHAPE, TREAD_ERROR_MEMORY, or what initialize fails with. */
TREAD_API tread_module *tread_module_create(tread_context *context, const tread_module_type *type, void *state,
                                            const tread_parameter_shape *parameters, size_t n_parameters,
                                            const tread_named_module *children, size_t n_children);

/* For the functions of a type. Own parameter i's tensor, and child i, in the order of creation; NULL if there is none.
 */
TREAD_API tread_tensor *tread_module_tensor(const tread_module *module, size_t i);
TREAD_API tread_module *tread_module_child(const tread_module *module, size_t i);
TREAD_API size_t tread_module_n_children(const tread_module *module);
TREAD_API void *tread_module_state(const tread_module *module);
TREAD_API const tread_module_type *tread_module_get_type(const tread_module *module);
TREAD_API tread_context *tread_module_context(const tread_module *module);

/* --- Summary --- */

typedef struct tread_module_totals {
    int64_t modules;         /* without children: layers */
    int64_t parameters;      /* numbers in all parameters */
    int64_t trainable;       /* of those, in parameters that require a gradient */
    int64_t parameter_bytes; /* of values alone; gradients take as much again */
    int64_t output_bytes;    /* of all layers' outputs for an input of this shape */
} tread_module_totals;

/* Runs the module once, in evaluation mode and without gradients, on zeros of this type and shape, and writes a table:
 * each module's name, kind and settings, output shape, parameters, bytes. file NULL: no table; ret_totals may be NULL.
 * The table is for people: its layout may change. Errors: what forward fails with (the shape does not fit),
 * TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_module_summary(tread_module *module, FILE *file, tread_dtype dtype, int rank,
                                            const int64_t *shape, tread_module_totals *ret_totals);

TREAD_END_DECLS

#endif
