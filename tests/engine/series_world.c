#include "tests/engine/series_world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VALUES = 300, N_MOMENTS = 7 };

static float value_of(int64_t step, int64_t i) { return (float)step + (float)i / 512; }

static tread_tensor *values_of(int64_t step, int64_t n) {
    tread_tensor *tensor = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){n});
    for (int64_t i = 0; tensor != NULL && i < n; i++)
        tread_tensor_float(tensor)[i] = value_of(step, i);
    return tensor;
}

static bool add_values(tread_state *whole, const char *name, int64_t step, int64_t n) {
    tread_tensor *tensor = values_of(step, n);
    if (tensor != NULL && tread_state_add_tensor(whole, name, tensor) == TREAD_OK)
        return true;
    tread_tensor_destroy(tensor);
    return false;
}

tread_state *series_state_sized(int64_t step, int64_t n_values) {
    char text[32];
    snprintf(text, sizeof text, "step %lld", (long long)step);
    tread_state *state = tread_state_create(), *list = NULL;
    bool made = state != NULL && add_values(state, "values", step, n_values) &&
                add_values(state, "moments", step + 1, N_MOMENTS) &&
                tread_state_add_integer(state, "step", step) == TREAD_OK &&
                tread_state_add_string(state, "text", text) == TREAD_OK;
    list = made ? tread_state_add_list(state, "list") : NULL;
    made = list != NULL && tread_state_add_real(list, NULL, (double)step / 3) == TREAD_OK &&
           tread_state_add_integer(list, NULL, -step) == TREAD_OK;
    if (made)
        return state;
    tread_state_destroy(state);
    return NULL;
}

tread_state *series_state(int64_t step) { return series_state_sized(step, N_VALUES); }

static bool holds_values(const tread_state *state, const char *name, int64_t step) {
    const tread_tensor *tensor;
    if (tread_state_get_tensor(state, name, &tensor) != TREAD_OK || tread_tensor_count(tensor) == 0)
        return false;
    for (int64_t i = 0; i < tread_tensor_count(tensor); i++)
        if (tread_tensor_float(tensor)[i] != value_of(step, i))
            return false;
    return true;
}

int64_t series_step_of(const tread_state *state) {
    int64_t step, minus;
    double third;
    const char *text;
    char expected[32];
    const tread_state *list = tread_state_find(state, "list");
    if (tread_state_get_integer(state, "step", &step) != TREAD_OK ||
        tread_state_get_string(state, "text", &text) != TREAD_OK || list == NULL ||
        tread_state_as_real(tread_state_at(list, 0), &third) != TREAD_OK ||
        tread_state_as_integer(tread_state_at(list, 1), &minus) != TREAD_OK)
        return -1;
    snprintf(expected, sizeof expected, "step %lld", (long long)step);
    return strcmp(text, expected) == 0 && third == (double)step / 3 && minus == -step &&
                   holds_values(state, "values", step) && holds_values(state, "moments", step + 1)
               ? step
               : -1;
}

int files_with(const char *folder, const char *mark) {
    int n = 0;
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && strstr(entry->d_name, mark) != NULL;
    if (stream != NULL)
        closedir(stream);
    return n;
}

int open_descriptors(void) { return files_with("/proc/self/fd", "") - 1; /* but for the one of this call */ }
