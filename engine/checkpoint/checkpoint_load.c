#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/state_path.h"

#define BAD(r, format, ...) tread_fail(TREAD_ERROR_FORMAT, "%s: " format, (r)->file.path, __VA_ARGS__)

typedef struct reading {
    tread_safetensors file;
    tread_state_path path;
    bool *used; /* by entry */
} reading;

static int is_used(void *data, const char *name) {
    const reading *r = data;
    const tread_safetensors_entry *entry = tread_safetensors_find(&r->file, name);
    return entry != NULL && r->used[entry - r->file.entries];
}

/* The entry of the tensor at the path. */
static tread_status find_entry(reading *r, const tread_safetensors_entry **ret_entry) {
    char *name = tread_state_path_tensor_name(&r->path, is_used, r);
    if (name == NULL)
        return TREAD_ERROR_MEMORY;
    const tread_safetensors_entry *entry = tread_safetensors_find(&r->file, name);
    tread_status status = TREAD_OK;
    if (entry == NULL)
        status = BAD(r, "the state has a tensor %s, the file has none", name);
    else if (entry->type->dtype < 0)
        status = BAD(r, "%s is of type %s, which a checkpoint cannot have", name, entry->type->name);
    else if (entry->rank < 0)
        status = BAD(r, "%s is of a rank above %d", name, TREAD_MAX_RANK);
    tread_free(name);
    if (status == TREAD_OK) {
        r->used[entry - r->file.entries] = true;
        *ret_entry = entry;
    }
    return status;
}

static tread_status decode_tensor(reading *r, tread_state *whole, const char *name) {
    const tread_safetensors_entry *entry;
    TREAD_TRY(find_entry(r, &entry));
    tread_tensor probe = {.rank = 0};
    if (tread_tensor_init(&probe, (tread_dtype)entry->type->dtype, entry->rank, entry->shape) != TREAD_OK)
        return BAD(r, "%s: %s", entry->name, tread_last_error());
    /* Its bytes are within the file, so that no lie asks for more memory than the file is long. */
    tread_tensor *tensor = tread_tensor_create(probe.dtype, probe.rank, probe.shape);
    if (tensor == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_safetensors_read(&r->file, entry, tensor->data);
    if (status == TREAD_OK)
        status = tread_state_add_tensor(whole, name, tensor);
    if (status != TREAD_OK)
        tread_tensor_destroy(tensor);
    return status;
}

static tread_status decode(reading *r, const json_t *value, tread_state *whole, const char *name);

static tread_status decode_at(reading *r, const json_t *value, tread_state *whole, const char *name, size_t index) {
    size_t before;
    TREAD_TRY(tread_state_path_push(&r->path, name, index, &before));
    TREAD_TRY(decode(r, value, whole, name));
    tread_state_path_pop(&r->path, before);
    return TREAD_OK;
}

/* An object's or an array's parts, into whole. */
static tread_status decode_parts(reading *r, json_t *value, tread_state *whole) {
    const char *name;
    json_t *part;
    size_t i;
    if (whole == NULL)
        return TREAD_ERROR_MEMORY;
    if (r->path.depth >= TREAD_CHECKPOINT_MAX_DEPTH)
        return BAD(r, "'%s' lies deeper than %d trees and lists", r->path.text, TREAD_CHECKPOINT_MAX_DEPTH);
    json_object_foreach(value, name, part) {
        if (name[0] == '\0')
            return BAD(r, "a part of '%s' has an empty name", r->path.text);
        TREAD_TRY(decode_at(r, part, whole, name, 0));
    }
    json_array_foreach(value, i, part) TREAD_TRY(decode_at(r, part, whole, NULL, i));
    return TREAD_OK;
}

static tread_status decode(reading *r, const json_t *value, tread_state *whole, const char *name) {
    json_t *parts = (json_t *)(uintptr_t)value;
    switch (json_typeof(value)) {
    case JSON_OBJECT: return decode_parts(r, parts, tread_state_add_tree(whole, name));
    case JSON_ARRAY: return decode_parts(r, parts, tread_state_add_list(whole, name));
    case JSON_REAL: return tread_state_add_real(whole, name, json_real_value(value));
    case JSON_INTEGER: return tread_state_add_integer(whole, name, json_integer_value(value));
    case JSON_STRING: return tread_state_add_string(whole, name, json_string_value(value));
    case JSON_NULL: return decode_tensor(r, whole, name);
    case JSON_TRUE:
    case JSON_FALSE: break;
    }
    return BAD(r, "'%s' is %s, which no part of a state can be", r->path.text, json_is_true(value) ? "true" : "false");
}

static tread_status check_all_used(const reading *r) {
    for (size_t i = 0; i < r->file.n; i++)
        if (!r->used[i])
            return BAD(r, "the file has a tensor %s, the state has none", r->file.entries[i].name);
    return TREAD_OK;
}

static tread_status load(reading *r, tread_state *root) {
    json_t *tree = json_object_get(r->file.tree, "state");
    if (r->file.tree == NULL)
        return BAD(r, "is not a checkpoint, but %s", "a safetensors file of another program");
    if (tree == NULL)
        return BAD(r, "is not a checkpoint, but %s", "weights alone");
    if (!json_is_object(tree))
        return BAD(r, "__metadata__: %s is not an object", "state");
    r->used = tread_calloc(r->file.n, sizeof *r->used, "tensors of a file");
    if (r->used == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_state_path_create(&r->path));
    TREAD_TRY(decode_parts(r, tree, root));
    return check_all_used(r);
}

tread_status tread_checkpoint_load(const char *path, tread_state **ret_state) {
    TREAD_REFUSE_NULL("checkpoint load", path);
    TREAD_REFUSE_NULL("checkpoint load", ret_state);
    reading r = {.used = NULL};
    TREAD_TRY(tread_safetensors_open(&r.file, path));
    tread_state *root = tread_state_create();
    tread_status status = root == NULL ? TREAD_ERROR_MEMORY : load(&r, root);
    tread_safetensors_close(&r.file);
    tread_state_path_destroy(&r.path);
    tread_free(r.used);
    if (status == TREAD_OK)
        *ret_state = root;
    else
        tread_state_destroy(root);
    return status;
}
