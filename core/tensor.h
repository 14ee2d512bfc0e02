/* Layer: core. What a tensor and a parameter are made of. */
#ifndef TREAD_CORE_TENSOR_H
#define TREAD_CORE_TENSOR_H

#include <tread/parameter.h>
#include <tread/tensor.h>

typedef struct tread_storage tread_storage;         /* counted memory that views share */
typedef struct tread_sparse_grad tread_sparse_grad; /* core/sparse_grad.h */

typedef enum tread_tensor_owner {
    TREAD_OWNER_CALLER,    /* tread_tensor_destroy frees it */
    TREAD_OWNER_TAPE,      /* lives in a slot of a tape */
    TREAD_OWNER_PARAMETER, /* part of a parameter, or a leaf's gradient */
} tread_tensor_owner;

typedef enum tread_grad_state {
    TREAD_GRAD_NONE,   /* no backward has reached the leaf */
    TREAD_GRAD_ZERO,   /* zeros that nobody has written yet: grad->data is undefined */
    TREAD_GRAD_DENSE,  /* grad->data holds it */
    TREAD_GRAD_SPARSE, /* sparse holds it, as rows and their indices; grad->data is undefined */
} tread_grad_state;

struct tread_tensor {
    /* What an optimizer's step looks at, in one cache line: with many small parameters it is these lines that cost. */
    void *data;
    tread_tensor *grad;        /* leaves: the gradient's tensor, made by tread_tensor_ensure_grad */
    tread_sparse_grad *sparse; /* leaves: NULL before the first sparse gradient */
    uint16_t *bf16;            /* leaves: data rounded to bfloat16 (core/bf16.h), NULL where nobody has asked for it */
    tread_grad_state grad_state;
    uint32_t version; /* leaves: counts changes of data by optimizers and loading, and moves of data or grad->data, so
                         that backward can refuse stale values */
    uint32_t bf16_version; /* the version that bf16 holds */
    bool requires_grad;
    bool touched; /* leaves: scratch of tread_backward, false between calls */
    bool given; /* data may change unseen: its address has been given out, or is the caller's; see tread_tensor_is_given
                 */
    bool is_view; /* a view, or a leaf's gradient: never a leaf itself */
    int64_t count;
    tread_dtype dtype;
    int rank;

    int64_t shape[TREAD_MAX_RANK]; /* entries past rank are 0, so that shapes compare by memcmp */
    tread_storage *storage;        /* NULL: the memory is not this tensor's */
    tread_tensor_owner owner;

    /* Autograd's marks; NULL and 0 in every tensor that is not on a tape. */
    const void
        *tape; /* an object whose FIRST member is `uint64_t generation`, its current step; see tread_tensor_is_stale */
    uint64_t generation; /* the tape's step that the tensor belongs to */
    int32_t node;        /* its place on the tape */
};

struct tread_parameter {
    tread_tensor tensor; /* first, so that it begins at a cache line */
    tread_tensor grad;
    char *name;
    tread_parameter_role role;
    bool in_block; /* data and gradient lie in a block that somebody else owns */
};

/* Sets dtype, rank, shape and count of an otherwise zeroed tensor; fails as tread_tensor_create. */
tread_status tread_tensor_init(tread_tensor *x, tread_dtype dtype, int rank, const int64_t *shape);
/* Makes x whole, with memory of its own, contents undefined; x is untouched on failure. */
tread_status tread_tensor_init_owned(tread_tensor *x, tread_dtype dtype, int rank, const int64_t *shape);
/* Gives up one use of counted memory; NULL is accepted. */
void tread_storage_release(tread_storage *storage);

/* Whether x is of an earlier step of its tape. Core knows nothing of tapes but that x->tape points at their step count,
 * which struct tread_tape therefore has as its first member. */
static inline bool tread_tensor_is_stale(const tread_tensor *x) {
    return x->tape != NULL && *(const uint64_t *)x->tape != x->generation;
}
/* TREAD_ERROR_ARGUMENT for NULL, TREAD_ERROR_STATE for a stale tensor; `call` begins the sentence. */
tread_status tread_tensor_check_current(const tread_tensor *x, const char *call);
/* TREAD_ERROR_DTYPE or TREAD_ERROR_SHAPE, with both named, unless they agree. */
tread_status tread_tensor_check_alike(const tread_tensor *to, const tread_tensor *from, const char *call);

size_t tread_tensor_bytes(const tread_tensor *x);
bool tread_tensor_same_shape(const tread_tensor *a, const tread_tensor *b);
/* "(32, 784)" into a buffer of TREAD_SHAPE_TEXT bytes; returns it. */
#define TREAD_SHAPE_TEXT 160
char *tread_shape_text(char *buffer, int rank, const int64_t *shape);

/* Makes the leaf's gradient tensor exist (its state stays). TREAD_ERROR_MEMORY. */
tread_status tread_tensor_ensure_grad(tread_tensor *leaf);
/* For whoever changes the leaf's data. */
static inline void tread_tensor_touch(tread_tensor *leaf) { leaf->version++; }

/* Whether data can change without tread_tensor_touch(): tread_tensor_data() has given its address out, a view shares
 * it, or the array is the caller's. Never false again. (Atomic, since threads may read one tensor.) */
static inline bool tread_tensor_is_given(const tread_tensor *x) { return __atomic_load_n(&x->given, __ATOMIC_RELAXED); }
static inline void tread_tensor_give(const tread_tensor *x) {
    if (!tread_tensor_is_given(x))
        __atomic_store_n((bool *)&x->given, true, __ATOMIC_RELAXED); /* handles are const in name only */
}

/* Parameters in one flat block: data and gradients, each parameter's start aligned to TREAD_ALIGNMENT. */
typedef struct tread_parameter_block {
    tread_parameter **items; /* owned */
    size_t count;
    float *data; /* padding between parameters is zero */
    float *grad;
    size_t n_floats; /* of data, and of grad, padding included */
} tread_parameter_block;

/* Takes n different parameters (ownership moves on success only) and lays them into one block, values and gradients
 * kept. Those that lay in other blocks are moved; the caller frees the old block's arrays with
 * tread_parameter_block_release_arrays after success. TREAD_ERROR_MEMORY: nothing has changed. */
tread_status tread_parameter_block_create(tread_parameter *const *parameters, size_t n,
                                          tread_parameter_block *ret_block);
void tread_parameter_block_release_arrays(tread_parameter_block *block); /* keeps the parameters */
void tread_parameter_block_destroy(tread_parameter_block *block);        /* frees the parameters too */
/* A new name, copied. TREAD_ERROR_MEMORY. */
/* Exchanges its values and as many of the caller's, without giving their address away. */
void tread_parameter_exchange(tread_parameter *parameter, float *values);
tread_status tread_parameter_rename(tread_parameter *parameter, const char *name);

#endif
