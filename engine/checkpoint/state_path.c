#include "engine/checkpoint/state_path.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

#define INDEX_BYTES 24 /* of an index, a dot and the end mark, or of "~" and a number */

tread_status tread_state_path_create(tread_state_path *ret_path) {
    char *text = tread_alloc(64, "a name in a state");
    if (text == NULL)
        return TREAD_ERROR_MEMORY;
    text[0] = '\0';
    *ret_path = (tread_state_path){.text = text, .capacity = 64};
    return TREAD_OK;
}

void tread_state_path_destroy(tread_state_path *path) { tread_free(path->text); }

tread_status tread_state_path_push(tread_state_path *path, const char *name, size_t index, size_t *ret_before) {
    char number[INDEX_BYTES];
    if (name == NULL) {
        snprintf(number, sizeof number, "%zu", index);
        name = number;
    }
    size_t length = strlen(name), needed = path->length + 1 + length + 1;
    if (needed > path->capacity) {
        char *text = tread_realloc(path->text, path->capacity, 2 * needed, "a name in a state");
        if (text == NULL)
            return TREAD_ERROR_MEMORY;
        path->text = text;
        path->capacity = 2 * needed;
    }
    *ret_before = path->length;
    if (path->depth++ > 0)
        path->text[path->length++] = '.';
    memcpy(path->text + path->length, name, length + 1);
    path->length += length;
    return TREAD_OK;
}

void tread_state_path_pop(tread_state_path *path, size_t before) {
    path->text[before] = '\0';
    path->length = before;
    path->depth--;
}

char *tread_state_path_tensor_name(const tread_state_path *path, tread_name_taken_fn *is_taken, void *data) {
    char *name = tread_alloc(path->length + INDEX_BYTES, "the name of a tensor");
    if (name == NULL)
        return NULL;
    memcpy(name, path->text, path->length + 1);
    for (size_t i = 2; strcmp(name, "__metadata__") == 0 || is_taken(data, name); i++)
        snprintf(name + path->length, INDEX_BYTES, "~%zu", i);
    return name;
}
