#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/state_path.h"

/* A walk over the state that makes its JSON and gathers its tensors. jansson's memory is the C library's or what the
 * host program chose for jansson: json_set_alloc_funcs changes the whole process, and is not for a library to call. */
typedef struct writing {
    const char *file;
    tread_state_path path;
    json_t *taken; /* names of tensors */
    tread_named_tensor *tensors;
    size_t n, capacity;
} writing;

static tread_status no_memory(const writing *w) {
    return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for the header", w->file);
}

static int is_taken(void *taken, const char *name) { return json_object_get(taken, name) != NULL; }

static tread_status add_tensor(writing *w, const tread_tensor *tensor, json_t **ret_value) {
    if (w->n == w->capacity) {
        size_t grown = w->capacity > 0 ? 2 * w->capacity : 16, size = sizeof *w->tensors;
        tread_named_tensor *tensors =
            tread_realloc(w->tensors, w->capacity * size, grown * size, "the tensors of a checkpoint");
        if (tensors == NULL)
            return TREAD_ERROR_MEMORY;
        w->tensors = tensors;
        w->capacity = grown;
    }
    char *name = tread_state_path_tensor_name(&w->path, is_taken, w->taken);
    if (name == NULL)
        return TREAD_ERROR_MEMORY;
    w->tensors[w->n++] = (tread_named_tensor){name, tensor};
    if (json_object_set_new(w->taken, name, json_true()) != 0)
        return no_memory(w);
    *ret_value = json_null();
    return TREAD_OK;
}

static tread_status encode(writing *w, const tread_state *node, json_t **ret_value);

/* A tree's or a list's parts, into value. */
static tread_status encode_parts(writing *w, const tread_state *node, json_t *value) {
    if (w->path.depth >= TREAD_CHECKPOINT_MAX_DEPTH)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: '%s' lies deeper than %d trees and lists", w->file, w->path.text,
                          TREAD_CHECKPOINT_MAX_DEPTH);
    for (size_t i = 0; i < tread_state_count(node); i++) {
        const tread_state *part = tread_state_at(node, i);
        const char *name = tread_state_name(part);
        size_t before;
        json_t *encoded = NULL;
        if (name != NULL && !tread_is_utf8(name))
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the name of part %zu of '%s' is not UTF-8", w->file, i,
                              w->path.text);
        TREAD_TRY(tread_state_path_push(&w->path, name, i, &before));
        TREAD_TRY(encode(w, part, &encoded));
        tread_state_path_pop(&w->path, before);
        if ((name != NULL ? json_object_set_new(value, name, encoded) : json_array_append_new(value, encoded)) != 0)
            return no_memory(w);
    }
    return TREAD_OK;
}

static tread_status encode(writing *w, const tread_state *node, json_t **ret_value) {
    tread_state_kind kind = tread_state_kind_of(node);
    double real = 0;
    int64_t integer = 0;
    const char *string = "";
    const tread_tensor *tensor = NULL;
    json_t *value = NULL;
    switch (kind) {
    case TREAD_STATE_TREE: value = json_object(); break;
    case TREAD_STATE_LIST: value = json_array(); break;
    case TREAD_STATE_REAL:
        TREAD_TRY(tread_state_as_real(node, &real));
        value = json_real(real);
        break;
    case TREAD_STATE_INTEGER:
        TREAD_TRY(tread_state_as_integer(node, &integer));
        value = json_integer(integer);
        break;
    case TREAD_STATE_STRING:
        TREAD_TRY(tread_state_as_string(node, &string));
        if (!tread_is_utf8(string))
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the string '%s' is not UTF-8", w->file, w->path.text);
        value = json_string(string);
        break;
    case TREAD_STATE_TENSOR: TREAD_TRY(tread_state_as_tensor(node, &tensor)); return add_tensor(w, tensor, ret_value);
    }
    if (value == NULL)
        return no_memory(w);
    tread_status status = TREAD_OK;
    if (kind == TREAD_STATE_TREE || kind == TREAD_STATE_LIST)
        status = encode_parts(w, node, value);
    if (status == TREAD_OK)
        *ret_value = value;
    else
        json_decref(value);
    return status;
}

/* Large elements first, else in the order of the tree. */
static tread_status write_sorted(const writing *w, json_t *state) {
    tread_named_tensor *sorted = tread_calloc(w->n, sizeof *sorted, "the tensors of a checkpoint");
    if (sorted == NULL)
        return TREAD_ERROR_MEMORY;
    size_t n = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < w->n; i++)
            if (tread_dtype_size(w->tensors[i].tensor->dtype) == size)
                sorted[n++] = w->tensors[i];
    tread_status status = tread_safetensors_write(w->file, sorted, n, state);
    tread_free(sorted);
    return status;
}

static tread_status save(writing *w, const tread_state *state) {
    json_t *encoded = NULL;
    w->taken = json_object();
    if (w->taken == NULL)
        return no_memory(w);
    TREAD_TRY(tread_state_path_create(&w->path));
    TREAD_TRY(encode(w, state, &encoded));
    tread_status status = write_sorted(w, encoded);
    json_decref(encoded);
    return status;
}

tread_status tread_checkpoint_save(const char *path, const tread_state *state) {
    TREAD_REFUSE_NULL("checkpoint save", path);
    TREAD_REFUSE_NULL("checkpoint save", state);
    if (tread_state_kind_of(state) != TREAD_STATE_TREE)
        return tread_fail(TREAD_ERROR_ARGUMENT, "checkpoint save: the state is no tree, but of kind %s",
                          tread_state_kind_name(tread_state_kind_of(state)));
    writing w = {.file = path};
    tread_status status = save(&w, state);
    for (size_t i = 0; i < w.n; i++)
        tread_free((void *)(uintptr_t)w.tensors[i].name);
    tread_free(w.tensors);
    tread_state_path_destroy(&w.path);
    json_decref(w.taken);
    return status;
}
