#include "engine/checkpoint/snapshot.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"

static size_t room_of(const tread_tensor *tensor) {
    return (tread_tensor_bytes(tensor) + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
}

static size_t room_of_all(const tread_state *state) {
    const tread_tensor *tensor;
    size_t room = 0;
    if (tread_state_kind_of(state) == TREAD_STATE_TENSOR)
        return tread_state_as_tensor(state, &tensor) == TREAD_OK ? room_of(tensor) : 0;
    for (size_t i = 0; i < tread_state_count(state); i++)
        room += room_of_all(tread_state_at(state, i));
    return room;
}

/* to: where the values are copied, and moved on behind them; *to NULL: borrowed. */
static tread_status add_tensor(tread_state *whole, const char *name, const tread_state *part, char **to) {
    const tread_tensor *tensor;
    TREAD_TRY(tread_state_as_tensor(part, &tensor));
    void *values = *to != NULL ? *to : tensor->data;
    if (*to != NULL) {
        memcpy(values, tensor->data, tread_tensor_bytes(tensor));
        *to += room_of(tensor);
    }
    tread_tensor *wrap = tread_tensor_wrap(tensor->dtype, tensor->rank, tensor->shape, values);
    if (wrap == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_state_add_tensor(whole, name, wrap);
    if (status != TREAD_OK)
        tread_tensor_destroy(wrap);
    return status;
}

static tread_status add_parts(tread_state *whole, const tread_state *from, const char *without, char **to);

static tread_status add_part(tread_state *whole, const tread_state *part, char **to) {
    const char *name = tread_state_name(part), *string;
    int64_t integer;
    double real;
    tread_state *inner;
    switch (tread_state_kind_of(part)) {
    case TREAD_STATE_TREE:
        inner = tread_state_add_tree(whole, name);
        return inner == NULL ? TREAD_ERROR_MEMORY : add_parts(inner, part, NULL, to);
    case TREAD_STATE_LIST:
        inner = tread_state_add_list(whole, name);
        return inner == NULL ? TREAD_ERROR_MEMORY : add_parts(inner, part, NULL, to);
    case TREAD_STATE_REAL: TREAD_TRY(tread_state_as_real(part, &real)); return tread_state_add_real(whole, name, real);
    case TREAD_STATE_INTEGER:
        TREAD_TRY(tread_state_as_integer(part, &integer));
        return tread_state_add_integer(whole, name, integer);
    case TREAD_STATE_STRING:
        TREAD_TRY(tread_state_as_string(part, &string));
        return tread_state_add_string(whole, name, string);
    case TREAD_STATE_TENSOR: return add_tensor(whole, name, part, to);
    }
    return TREAD_OK;
}

static tread_status add_parts(tread_state *whole, const tread_state *from, const char *without, char **to) {
    for (size_t i = 0; i < tread_state_count(from); i++) {
        const tread_state *part = tread_state_at(from, i);
        if (without == NULL || tread_state_name(part) == NULL || strcmp(tread_state_name(part), without) != 0)
            TREAD_TRY(add_part(whole, part, to));
    }
    return TREAD_OK;
}

static tread_status make_room(tread_snapshot *snapshot, size_t room) {
    if (room <= snapshot->capacity)
        return TREAD_OK;
    tread_free(snapshot->values);
    snapshot->capacity = 0;
    snapshot->values = tread_alloc(room, "snapshot of a state");
    if (snapshot->values == NULL)
        return TREAD_ERROR_MEMORY;
    snapshot->capacity = room;
    return TREAD_OK;
}

tread_status tread_snapshot_take(tread_snapshot *snapshot, const tread_state *state, const char *without, bool copy) {
    tread_state_destroy(snapshot->state);
    snapshot->state = NULL;
    if (copy)
        TREAD_TRY(make_room(snapshot, room_of_all(state) + 1)); /* not 0: NULL would mean to borrow */
    tread_state *taken = tread_state_create();
    char *to = copy ? snapshot->values : NULL;
    tread_status status = taken == NULL ? TREAD_ERROR_MEMORY : add_parts(taken, state, without, &to);
    if (status == TREAD_OK)
        snapshot->state = taken;
    else
        tread_state_destroy(taken);
    return status;
}

void tread_snapshot_free(tread_snapshot *snapshot) {
    tread_state_destroy(snapshot->state);
    tread_free(snapshot->values);
    *snapshot = (tread_snapshot){0};
}
