#include <tread/weights.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/safetensors.h"

#define NAME_BYTES 32 /* of "param.<index>" */

/* The parameters under the names they have in files. */
typedef struct named_list {
    tread_named_tensor *tensors;
    char (*made_names)[NAME_BYTES];
    size_t n;
} named_list;

static void destroy_list(named_list *list) {
    tread_free(list->tensors);
    tread_free(list->made_names);
}

static tread_status create_list(tread_parameter_list parameters, named_list *ret_list) {
    named_list list = {.n = parameters.count};
    if (parameters.count == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "weights: the list of parameters is empty");
    list.tensors = tread_calloc(list.n, sizeof *list.tensors, "names of weights");
    list.made_names = list.tensors == NULL ? NULL : tread_calloc(list.n, sizeof *list.made_names, "names of weights");
    if (list.made_names == NULL) {
        destroy_list(&list);
        return TREAD_ERROR_MEMORY;
    }
    for (size_t i = 0; i < list.n; i++) {
        const char *name = tread_parameter_name(parameters.items[i]);
        snprintf(list.made_names[i], NAME_BYTES, "param.%zu", i);
        list.tensors[i].name = name != NULL ? name : list.made_names[i];
        list.tensors[i].tensor = tread_parameter_tensor(parameters.items[i]);
    }
    *ret_list = list;
    return TREAD_OK;
}

tread_status tread_weights_save(tread_parameter_list parameters, const char *path) {
    named_list list;
    TREAD_TRY(create_list(parameters, &list));
    tread_status status = tread_safetensors_write(path, list.tensors, list.n, NULL);
    destroy_list(&list);
    return status;
}

/* A sentence that grows by one difference after the other, and counts those that no longer fit. */
typedef struct differences {
    char text[3500];
    size_t length, n, n_left_out;
} differences;

__attribute__((format(printf, 2, 3))) static void add_difference(differences *all, const char *format, ...) {
    char one[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(one, sizeof one, format, arguments);
    va_end(arguments);
    size_t length = strlen(one) + 2;
    if (all->length + length < sizeof all->text && all->n_left_out == 0)
        all->length += (size_t)snprintf(all->text + all->length, sizeof all->text - all->length, "%s%s",
                                        all->n > 0 ? "; " : "", one);
    else
        all->n_left_out++;
    all->n++;
}

static void compare(const tread_safetensors *file, const named_list *list, differences *ret_all) {
    char here[TREAD_SHAPE_TEXT], there[TREAD_SHAPE_TEXT];
    size_t n_found = 0;
    for (size_t i = 0; i < list->n; i++) {
        const tread_tensor *tensor = list->tensors[i].tensor;
        const char *name = list->tensors[i].name;
        const tread_safetensors_entry *entry = tread_safetensors_find(file, name);
        tread_shape_text(here, tensor->rank, tensor->shape);
        n_found += entry != NULL;
        if (entry == NULL)
            add_difference(ret_all, "%s %s is not in the file", name, here);
        else if (entry->rank != tensor->rank || memcmp(entry->shape, tensor->shape, sizeof entry->shape) != 0)
            add_difference(ret_all, "%s is %s in the file, %s in the model", name,
                           entry->rank < 0 ? "of too high a rank" : tread_shape_text(there, entry->rank, entry->shape),
                           here);
        else if (entry->dtype != (int)tensor->dtype)
            add_difference(ret_all, "%s is %s in the file, expected F32", name, entry->type_name);
    }
    if (n_found == file->n)
        return;
    for (size_t i = 0; i < file->n; i++) { /* only on the way to an error: its cost does not matter */
        bool known = false;
        for (size_t j = 0; j < list->n && !known; j++)
            known = strcmp(list->tensors[j].name, file->entries[i].name) == 0;
        if (!known)
            add_difference(ret_all, "%s of the file is not in the model", file->entries[i].name);
    }
}

static tread_status check_names(const named_list *list) {
    json_t *names = json_object();
    tread_status status =
        names == NULL ? tread_fail(TREAD_ERROR_MEMORY, "out of memory for names of weights") : TREAD_OK;
    for (size_t i = 0; i < list->n && status == TREAD_OK; i++) {
        if (json_object_get(names, list->tensors[i].name) != NULL)
            status = tread_fail(TREAD_ERROR_ARGUMENT, "weights: two parameters are named %s", list->tensors[i].name);
        else if (json_object_set_new(names, list->tensors[i].name, json_true()) != 0)
            status = tread_fail(TREAD_ERROR_ARGUMENT, "weights: the name of parameter %zu is not UTF-8", i);
    }
    json_decref(names);
    return status;
}

static tread_status check_match(const tread_safetensors *file, const named_list *list) {
    differences all = {.n = 0};
    TREAD_TRY(check_names(list));
    compare(file, list, &all);
    if (all.n == 0)
        return TREAD_OK;
    char more[64] = "";
    if (all.n_left_out > 0)
        snprintf(more, sizeof more, "; and %zu more", all.n_left_out);
    return tread_fail(TREAD_ERROR_SHAPE, "%s does not fit the model: %s%s", file->path, all.text, more);
}

static int64_t count_not_finite(const float *values, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += !isfinite(values[i]);
    return count;
}

/* Everything is read before the first parameter changes: a read may fail too. */
static tread_status read_all(const tread_safetensors *file, const named_list *list, tread_weights_report *ret_report) {
    TREAD_TRY(check_match(file, list));
    float *values = tread_alloc((size_t)file->data_bytes, "weights of a file");
    if (values == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = TREAD_OK;
    for (size_t i = 0; i < file->n && status == TREAD_OK; i++)
        status = tread_safetensors_read(file, &file->entries[i], (char *)values + file->entries[i].begin);
    if (status == TREAD_OK) {
        for (size_t i = 0; i < list->n; i++) {
            tread_tensor *tensor = (tread_tensor *)(uintptr_t)list->tensors[i].tensor;
            const tread_safetensors_entry *entry = tread_safetensors_find(file, list->tensors[i].name);
            memcpy(tensor->data, (const char *)values + entry->begin, tread_tensor_bytes(tensor));
            tread_tensor_touch(tensor);
        }
        int64_t n_values = (int64_t)(file->data_bytes / sizeof(float));
        *ret_report = (tread_weights_report){
            .n_tensors = file->n, .n_values = n_values, .n_not_finite = count_not_finite(values, n_values)};
    }
    tread_free(values);
    return status;
}

tread_status tread_weights_load(tread_parameter_list parameters, const char *path, tread_weights_report *ret_report) {
    named_list list;
    tread_safetensors file;
    tread_weights_report report;
    TREAD_TRY(create_list(parameters, &list));
    tread_status status = tread_safetensors_open(&file, path);
    if (status == TREAD_OK) {
        status = read_all(&file, &list, &report);
        tread_safetensors_close(&file);
    }
    destroy_list(&list);
    if (status == TREAD_OK && ret_report != NULL)
        *ret_report = report;
    return status;
}
