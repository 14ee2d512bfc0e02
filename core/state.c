#include <tread/state.h>

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

/* Beside each part lies the hash of its name, so that finding one of ten thousand names reads one array. */
typedef struct place {
    uint64_t hash;
    tread_state *node;
} place;

struct tread_state {
    tread_state_kind kind;
    char *name;
    tread_state *whole; /* NULL: belongs to the caller */
    union {
        struct {
            place *parts;
            size_t count, capacity;
        };
        double real;
        int64_t integer;
        char *string;
        tread_tensor *tensor;
    };
};

const char *tread_state_kind_name(tread_state_kind kind) {
    static const char *const names[] = {"tree", "list", "real", "integer", "string", "tensor"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

static bool has_parts(const tread_state *state) {
    return state->kind == TREAD_STATE_TREE || state->kind == TREAD_STATE_LIST;
}

/* FNV-1a */
static uint64_t hash_of(const char *name) {
    uint64_t hash = 14695981039346656037u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}

static tread_state *node_create(tread_state_kind kind) {
    tread_state *node = tread_calloc(1, sizeof *node, "a part of a state");
    if (node != NULL)
        node->kind = kind;
    return node;
}

tread_state *tread_state_create(void) { return node_create(TREAD_STATE_TREE); }

static void node_free(tread_state *node) {
    for (size_t i = 0; has_parts(node) && i < node->count; i++)
        node_free(node->parts[i].node);
    if (has_parts(node))
        tread_free(node->parts);
    if (node->kind == TREAD_STATE_STRING)
        tread_free(node->string);
    if (node->kind == TREAD_STATE_TENSOR)
        tread_tensor_destroy(node->tensor);
    tread_free(node->name);
    tread_free(node);
}

void tread_state_destroy(tread_state *state) {
    if (state != NULL && state->whole == NULL)
        node_free(state);
}

static tread_status check_place(const tread_state *whole, const char *name) {
    if (whole == NULL || !has_parts(whole))
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: %s cannot have parts",
                          whole == NULL ? "NULL" : tread_state_kind_name(whole->kind));
    if (whole->kind == TREAD_STATE_LIST)
        return name == NULL
                   ? TREAD_OK
                   : tread_fail(TREAD_ERROR_ARGUMENT, "state: a list's part has no name, '%s' was given", name);
    if (name == NULL || name[0] == '\0')
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: a tree's part needs a name");
    if (tread_state_find(whole, name) != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: there is a part named '%s' already", name);
    return TREAD_OK;
}

static tread_status attach(tread_state *whole, const char *name, tread_state *node) {
    TREAD_TRY(check_place(whole, name));
    if (whole->count == whole->capacity) {
        size_t grown = whole->capacity > 0 ? 2 * whole->capacity : 4;
        place *parts = tread_realloc(whole->parts, whole->capacity * sizeof *parts, grown * sizeof *parts,
                                     "a state's list of parts");
        if (parts == NULL)
            return TREAD_ERROR_MEMORY;
        whole->parts = parts;
        whole->capacity = grown;
    }
    char *copy = name != NULL ? tread_strdup(name) : NULL;
    if (name != NULL && copy == NULL)
        return TREAD_ERROR_MEMORY;
    tread_free(node->name);
    node->name = copy;
    node->whole = whole;
    whole->parts[whole->count++] = (place){name != NULL ? hash_of(name) : 0, node};
    return TREAD_OK;
}

static tread_status attach_or_free(tread_state *whole, const char *name, tread_state *node) {
    if (node == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = attach(whole, name, node);
    if (status != TREAD_OK)
        node_free(node);
    return status;
}

static tread_state *add_container(tread_state *whole, const char *name, tread_state_kind kind) {
    tread_state *node = node_create(kind);
    return attach_or_free(whole, name, node) == TREAD_OK ? node : NULL;
}

tread_state *tread_state_add_tree(tread_state *whole, const char *name) {
    return add_container(whole, name, TREAD_STATE_TREE);
}

tread_state *tread_state_add_list(tread_state *whole, const char *name) {
    return add_container(whole, name, TREAD_STATE_LIST);
}

tread_status tread_state_add_real(tread_state *whole, const char *name, double value) {
    if (!isfinite(value))
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: '%s' = %g is not finite", name != NULL ? name : "a list's part",
                          value);
    tread_state *node = node_create(TREAD_STATE_REAL);
    if (node != NULL)
        node->real = value;
    return attach_or_free(whole, name, node);
}

tread_status tread_state_add_integer(tread_state *whole, const char *name, int64_t value) {
    tread_state *node = node_create(TREAD_STATE_INTEGER);
    if (node != NULL)
        node->integer = value;
    return attach_or_free(whole, name, node);
}

tread_status tread_state_add_string(tread_state *whole, const char *name, const char *value) {
    if (value == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: '%s' is a NULL string", name != NULL ? name : "a list's part");
    char *copy = tread_strdup(value);
    tread_state *node = copy != NULL ? node_create(TREAD_STATE_STRING) : NULL;
    if (node == NULL) {
        tread_free(copy);
        return TREAD_ERROR_MEMORY;
    }
    node->string = copy;
    return attach_or_free(whole, name, node);
}

tread_status tread_state_add_tensor(tread_state *whole, const char *name, tread_tensor *tensor) {
    if (tensor == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: '%s' is a NULL tensor", name != NULL ? name : "a list's part");
    tread_state *node = node_create(TREAD_STATE_TENSOR);
    if (node == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = attach(whole, name, node);
    if (status == TREAD_OK)
        node->tensor = tensor;
    else
        node_free(node);
    return status;
}

tread_status tread_state_add_tensor_copy(tread_state *whole, const char *name, const tread_tensor *tensor) {
    if (tensor == NULL)
        return tread_state_add_tensor(whole, name, NULL);
    tread_tensor *copy =
        tread_tensor_create(tread_tensor_dtype(tensor), tread_tensor_rank(tensor), tread_tensor_shape(tensor));
    if (copy == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_tensor_copy(copy, tensor);
    if (status == TREAD_OK)
        status = tread_state_add_tensor(whole, name, copy);
    if (status != TREAD_OK)
        tread_tensor_destroy(copy);
    return status;
}

tread_status tread_state_add_state(tread_state *whole, const char *name, tread_state *part) {
    if (part == NULL)
        return TREAD_ERROR_MEMORY; /* whoever could not make it set the sentence */
    if (part->whole != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "state: '%s' is part of another state already",
                          part->name != NULL ? part->name : "a list's part");
    for (const tread_state *up = whole; up != NULL; up = up->whole)
        if (up == part)
            return tread_fail(TREAD_ERROR_ARGUMENT, "state: a state cannot be a part of itself");
    return attach(whole, name, part);
}

tread_state_kind tread_state_kind_of(const tread_state *state) { return state->kind; }
const char *tread_state_name(const tread_state *state) { return state->name; }
size_t tread_state_count(const tread_state *state) { return has_parts(state) ? state->count : 0; }

const tread_state *tread_state_at(const tread_state *state, size_t i) {
    return i < tread_state_count(state) ? state->parts[i].node : NULL;
}

const tread_state *tread_state_find(const tread_state *tree, const char *name) {
    uint64_t hash = hash_of(name);
    for (size_t i = 0; tree->kind == TREAD_STATE_TREE && i < tree->count; i++)
        if (tree->parts[i].hash == hash && strcmp(tree->parts[i].node->name, name) == 0)
            return tree->parts[i].node;
    return NULL;
}

/* "an integer" */
static const char *with_article(tread_state_kind kind) {
    static const char *const names[] = {"a tree", "a list", "a real", "an integer", "a string", "a tensor"};
    return names[kind];
}

static tread_status check_kind(const tread_state *state, tread_state_kind kind) {
    if (state == NULL)
        return tread_fail(TREAD_ERROR_FORMAT, "state: a part is missing where %s should be", with_article(kind));
    if (state->kind == kind || (kind == TREAD_STATE_REAL && state->kind == TREAD_STATE_INTEGER))
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_FORMAT, "state: '%s' is %s, not %s",
                      state->name != NULL ? state->name : "a list's part", with_article(state->kind),
                      with_article(kind));
}

tread_status tread_state_as_real(const tread_state *state, double *ret_value) {
    TREAD_TRY(check_kind(state, TREAD_STATE_REAL));
    *ret_value = state->kind == TREAD_STATE_REAL ? state->real : (double)state->integer;
    return TREAD_OK;
}

tread_status tread_state_as_integer(const tread_state *state, int64_t *ret_value) {
    TREAD_TRY(check_kind(state, TREAD_STATE_INTEGER));
    *ret_value = state->integer;
    return TREAD_OK;
}

tread_status tread_state_as_string(const tread_state *state, const char **ret_value) {
    TREAD_TRY(check_kind(state, TREAD_STATE_STRING));
    *ret_value = state->string;
    return TREAD_OK;
}

tread_status tread_state_as_tensor(const tread_state *state, const tread_tensor **ret_value) {
    TREAD_TRY(check_kind(state, TREAD_STATE_TENSOR));
    *ret_value = state->tensor;
    return TREAD_OK;
}

tread_status tread_state_get(const tread_state *tree, const char *name, tread_state_kind kind,
                             const tread_state **ret_part) {
    TREAD_TRY(check_kind(tree, TREAD_STATE_TREE));
    const tread_state *found = tread_state_find(tree, name);
    if (found == NULL)
        return tread_fail(TREAD_ERROR_FORMAT, "state: there is no %s '%s'", tread_state_kind_name(kind), name);
    TREAD_TRY(check_kind(found, kind));
    *ret_part = found;
    return TREAD_OK;
}

tread_status tread_state_get_real(const tread_state *tree, const char *name, double *ret_value) {
    const tread_state *found;
    TREAD_TRY(tread_state_get(tree, name, TREAD_STATE_REAL, &found));
    return tread_state_as_real(found, ret_value);
}

tread_status tread_state_get_integer(const tread_state *tree, const char *name, int64_t *ret_value) {
    const tread_state *found;
    TREAD_TRY(tread_state_get(tree, name, TREAD_STATE_INTEGER, &found));
    return tread_state_as_integer(found, ret_value);
}

tread_status tread_state_get_string(const tread_state *tree, const char *name, const char **ret_value) {
    const tread_state *found;
    TREAD_TRY(tread_state_get(tree, name, TREAD_STATE_STRING, &found));
    return tread_state_as_string(found, ret_value);
}

tread_status tread_state_get_tensor(const tread_state *tree, const char *name, const tread_tensor **ret_value) {
    const tread_state *found;
    TREAD_TRY(tread_state_get(tree, name, TREAD_STATE_TENSOR, &found));
    return tread_state_as_tensor(found, ret_value);
}
