/* Layer: core. State: what is saved and loaded, in one shape for everything that has any: named tensors and a small
 * tree of numbers and strings.
 *
 * A state is a tree node: a tree (named parts, in the order they were added), a list (parts without names), a real, an
 * integer, a string or a tensor. Optimizers, schedulers and data sets give and take theirs (..._state_dict), a trainer
 * that of a whole run (tread_trainer_state); for a loop of your own tread_run_state (checkpoint.h) gathers model,
 * optimizer, schedulers and random streams. tread_checkpoint_save writes any of them to a file.
 *
 *     tread_state *all = tread_state_create();
 *     tread_state_add_integer(all, "epoch", 3);
 *     tread_state_add_state(all, "optimizer", tread_optimizer_state_dict(optimizer));
 *
 * The part that tread_state_create() made, or that a ..._state_dict() gave, belongs to the caller until it is added to
 * another; parts inside belong to their whole and live as long. */
#ifndef TREAD_STATE_H
#define TREAD_STATE_H

#include <tread/tensor.h>

TREAD_BEGIN_DECLS

typedef struct tread_state tread_state;

typedef enum tread_state_kind {
    TREAD_STATE_TREE = 0,
    TREAD_STATE_LIST = 1,
    TREAD_STATE_REAL = 2,
    TREAD_STATE_INTEGER = 3,
    TREAD_STATE_STRING = 4,
    TREAD_STATE_TENSOR = 5,
} tread_state_kind;

TREAD_API const char *tread_state_kind_name(tread_state_kind kind); /* "tree"; static; "unknown" for other values */

/* An empty tree. NULL: TREAD_ERROR_MEMORY. */
TREAD_API tread_state *tread_state_create(void);
/* Frees a whole with all its parts. NULL is accepted; a part inside another is left alone. */
TREAD_API void tread_state_destroy(tread_state *state);

/* Adding to a tree (name, copied, not empty, not there yet) or a list (name NULL). Errors: TREAD_ERROR_ARGUMENT (name
 * missing, given or taken; whole is neither tree nor list; a real that is not finite: files cannot hold it),
 * TREAD_ERROR_MEMORY. Nothing has changed then. */
TREAD_API tread_state *tread_state_add_tree(tread_state *whole, const char *name); /* the new part; NULL on failure */
TREAD_API tread_state *tread_state_add_list(tread_state *whole, const char *name); /* the new part; NULL on failure */
TREAD_API tread_status tread_state_add_real(tread_state *whole, const char *name, double value);
TREAD_API tread_status tread_state_add_integer(tread_state *whole, const char *name, int64_t value);
TREAD_API tread_status tread_state_add_string(tread_state *whole, const char *name, const char *value); /* copied */
/* Takes the tensor, on success; destroys it with the whole. It may be a wrap of memory that outlives the whole. */
TREAD_API tread_status tread_state_add_tensor(tread_state *whole, const char *name, tread_tensor *tensor);
TREAD_API tread_status tread_state_add_tensor_copy(tread_state *whole, const char *name, const tread_tensor *tensor);
/* Takes part, a whole of its own until now, on success. NULL for part hands on the failure that made it NULL. */
TREAD_API tread_status tread_state_add_state(tread_state *whole, const char *name, tread_state *part);

/* Looking at a node. */
TREAD_API tread_state_kind tread_state_kind_of(const tread_state *state);
TREAD_API const char *tread_state_name(const tread_state *state); /* NULL for a whole and for a list's parts */
TREAD_API size_t tread_state_count(const tread_state *state);     /* parts of a tree or list, else 0 */
TREAD_API const tread_state *tread_state_at(const tread_state *state, size_t i);          /* NULL past the end */
TREAD_API const tread_state *tread_state_find(const tread_state *tree, const char *name); /* NULL if absent; no error */

/* The value of a node; as_real takes integers too. TREAD_ERROR_FORMAT names the node and both kinds. */
TREAD_API tread_status tread_state_as_real(const tread_state *state, double *ret_value);
TREAD_API tread_status tread_state_as_integer(const tread_state *state, int64_t *ret_value);
TREAD_API tread_status tread_state_as_string(const tread_state *state, const char **ret_value);
TREAD_API tread_status tread_state_as_tensor(const tread_state *state, const tread_tensor **ret_value);

/* A named part of a tree, of a kind. TREAD_ERROR_FORMAT: absent, or of another kind; outputs are untouched. */
TREAD_API tread_status tread_state_get(const tread_state *tree, const char *name, tread_state_kind kind,
                                       const tread_state **ret_part);
TREAD_API tread_status tread_state_get_real(const tread_state *tree, const char *name, double *ret_value);
TREAD_API tread_status tread_state_get_integer(const tread_state *tree, const char *name, int64_t *ret_value);
TREAD_API tread_status tread_state_get_string(const tread_state *tree, const char *name, const char **ret_value);
TREAD_API tread_status tread_state_get_tensor(const tread_state *tree, const char *name,
                                              const tread_tensor **ret_value);

TREAD_END_DECLS

#endif
