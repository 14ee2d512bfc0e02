#include <tread/weights.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights.h"

/* The parameters under the names they have in files. */
typedef struct named_list {
    tread_named_tensor *tensors;
    size_t n;
    const char *prefix; /* of every name: "", or "model." in a checkpoint */
} named_list;

static void destroy_list(named_list *list) {
    for (size_t i = 0; i < list->n && list->tensors != NULL; i++)
        tread_free((void *)(uintptr_t)list->tensors[i].name);
    tread_free(list->tensors);
}

static char *make_name(const char *prefix, const char *name) {
    size_t before = strlen(prefix), size = strlen(name) + 1;
    char *whole = tread_alloc(before + size, "the name of a parameter");
    if (whole != NULL) {
        memcpy(whole, prefix, before);
        memcpy(whole + before, name, size);
    }
    return whole;
}

static tread_status create_list(tread_parameter_list parameters, const char *prefix, named_list *ret_list) {
    named_list list = {.n = parameters.count, .prefix = prefix};
    if (parameters.count == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "weights: the list of parameters is empty");
    list.tensors = tread_calloc(list.n, sizeof *list.tensors, "names of weights");
    bool good = list.tensors != NULL;
    for (size_t i = 0; i < list.n && good; i++) {
        char number[TREAD_PARAMETER_NUMBER];
        list.tensors[i].name = make_name(prefix, tread_parameter_file_name(parameters.items[i], i, number));
        list.tensors[i].tensor = tread_parameter_tensor(parameters.items[i]);
        good = list.tensors[i].name != NULL;
    }
    if (good)
        *ret_list = list;
    else
        destroy_list(&list);
    return good ? TREAD_OK : TREAD_ERROR_MEMORY;
}

tread_status tread_weights_save(tread_parameter_list parameters, const char *path) {
    named_list list;
    TREAD_REFUSE_NULL("weights save", path);
    TREAD_TRY(create_list(parameters, "", &list));
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

/* Whether a tensor of the file is one of the model's: in a checkpoint there are others. */
static bool is_meant(const tread_safetensors_entry *entry, const named_list *list) {
    return strncmp(entry->name, list->prefix, strlen(list->prefix)) == 0;
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
        else if (entry->type->dtype != (int)tensor->dtype)
            add_difference(ret_all, "%s is %s in the file, expected F32", name, entry->type->name);
    }
    for (size_t i = 0; i < file->n; i++)
        n_found -= is_meant(&file->entries[i], list);
    for (size_t i = 0; i < file->n && n_found != 0; i++) { /* only on the way to an error: its cost does not matter */
        bool known = !is_meant(&file->entries[i], list);
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

static tread_status read_values(const tread_safetensors *file, const named_list *list, char *values) {
    for (size_t i = 0; i < list->n; i++) {
        const tread_safetensors_entry *entry = tread_safetensors_find(file, list->tensors[i].name);
        TREAD_TRY(tread_safetensors_read(file, entry, values));
        values += entry->end - entry->begin;
    }
    return TREAD_OK;
}

/* Everything is read before the first parameter changes: a read may fail too. */
static tread_status read_all(const tread_safetensors *file, const named_list *list, tread_weights_report *ret_report) {
    size_t bytes = 0;
    TREAD_TRY(check_match(file, list));
    for (size_t i = 0; i < list->n; i++)
        bytes += tread_tensor_bytes(list->tensors[i].tensor);
    float *values = tread_alloc(bytes, "weights of a file");
    if (values == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = read_values(file, list, (char *)values);
    const float *at = values;
    for (size_t i = 0; i < list->n && status == TREAD_OK; i++) {
        tread_tensor *tensor = (tread_tensor *)(uintptr_t)list->tensors[i].tensor;
        memcpy(tensor->data, at, tread_tensor_bytes(tensor));
        tread_tensor_touch(tensor);
        at += tensor->count;
    }
    if (status == TREAD_OK) {
        int64_t n_values = (int64_t)(bytes / sizeof(float));
        *ret_report = (tread_weights_report){
            .n_tensors = list->n, .n_values = n_values, .n_not_finite = count_not_finite(values, n_values)};
    }
    tread_free(values);
    return status;
}

tread_status tread_weights_load(tread_parameter_list parameters, const char *path, tread_weights_report *ret_report) {
    named_list list;
    tread_safetensors file;
    tread_weights_report report;
    TREAD_REFUSE_NULL("weights load", path);
    TREAD_TRY(tread_safetensors_open(&file, path));
    bool checkpoint = json_object_get(file.tree, "state") != NULL;
    tread_status status = create_list(parameters, checkpoint ? "model." : "", &list);
    if (status == TREAD_OK) {
        status = read_all(&file, &list, &report);
        destroy_list(&list);
    }
    tread_safetensors_close(&file);
    if (status == TREAD_OK && ret_report != NULL)
        *ret_report = report;
    return status;
}
