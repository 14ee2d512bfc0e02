/* Layer: core. A parameter: a named float32 leaf tensor that an optimizer changes.
 *
 * A model's parameters lie in one flat block, with one flat block of gradients beside it; the model owns both.
 * Handles stay valid as long as the owner lives; the data pointers of a module's parameters move once, when
 * the module joins a larger one. */
#ifndef TREAD_PARAMETER_H
#define TREAD_PARAMETER_H

#include <tread/tensor.h>

TREAD_BEGIN_DECLS

typedef struct tread_parameter tread_parameter;

/* What a parameter is for, by which optimizers' groups are made (groups.h). Layers set it; it is not in weight files.
 */
typedef enum tread_parameter_role {
    TREAD_ROLE_WEIGHT = 0, /* of hidden layers, and whatever is none of the others */
    TREAD_ROLE_BIAS = 1,
    TREAD_ROLE_NORM = 2, /* scale and shift of a normalization */
    TREAD_ROLE_EMBEDDING = 3,
    TREAD_ROLE_OUTPUT = 4, /* the weight of a model's last layer */
} tread_parameter_role;
#define TREAD_ROLE_COUNT 5

/* Parameters in the order of the model. The array belongs to the module (or to the caller who made it). */
typedef struct tread_parameter_list {
    tread_parameter *const *items;
    size_t count;
} tread_parameter_list;

/* A parameter of its own, zeros at first, for programs without modules. The caller destroys it, after the optimizers
 * that know it. name may be NULL. NULL: as tread_tensor_create. */
TREAD_API tread_parameter *tread_parameter_create(const char *name, int rank, const int64_t *shape);
TREAD_API void tread_parameter_destroy(tread_parameter *parameter); /* NULL and a module's own are left alone */

TREAD_API const char *tread_parameter_name(const tread_parameter *parameter); /* "0.weight"; NULL if it has none */
/* The leaf tensor; owned by the parameter. Its gradient is tread_tensor_grad() of it. */
TREAD_API tread_tensor *tread_parameter_tensor(const tread_parameter *parameter);

TREAD_API tread_parameter_role tread_parameter_get_role(const tread_parameter *parameter); /* weight where NULL */
/* At any time; optimizers look when they are made. TREAD_ERROR_ARGUMENT. */
TREAD_API tread_status tread_parameter_set_role(tread_parameter *parameter, tread_parameter_role role);
TREAD_API const char *tread_role_name(tread_parameter_role role); /* "weight"; static; NULL if there is no such role */

TREAD_END_DECLS

#endif
