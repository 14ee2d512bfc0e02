/* Layer: engine. The way to a part of a state, as dotted text that grows and shrinks during a walk. */
#ifndef TREAD_ENGINE_STATE_PATH_H
#define TREAD_ENGINE_STATE_PATH_H

#include <stddef.h>
#include <tread/status.h>

typedef struct tread_state_path {
    char *text; /* "" at first */
    size_t length, capacity;
    int depth;
} tread_state_path;

tread_status tread_state_path_create(tread_state_path *ret_path);
void tread_state_path_destroy(tread_state_path *path);

/* One part further: its name, or its index where name is NULL. Gives what pop needs. TREAD_ERROR_MEMORY: unchanged. */
tread_status tread_state_path_push(tread_state_path *path, const char *name, size_t index, size_t *ret_before);
void tread_state_path_pop(tread_state_path *path, size_t before);

/* The first name that is free: that of the path, else with "~2", "~3", ... behind. A copy; NULL: TREAD_ERROR_MEMORY. */
typedef int tread_name_taken_fn(void *data, const char *name);
char *tread_state_path_tensor_name(const tread_state_path *path, tread_name_taken_fn *is_taken, void *data);

#endif
