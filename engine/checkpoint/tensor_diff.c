#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/diff.h"
#include "engine/checkpoint/tensor_file.h"

#define CHUNK ((size_t)1 << 18) /* bytes of a file looked at together; a multiple of every element's size */

static void hand_on(tread_diff *diff, const tread_difference *difference) {
    diff->n++;
    if (diff->fn != NULL && !diff->fn(diff->data, difference))
        diff->ended = true;
}

void tread_diff_report(tread_diff *diff, tread_difference_kind kind, const char *path, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hand_on(diff, &(tread_difference){.kind = kind, .path = path, .text = text, .first = -1});
}

void tread_values_diff_add(tread_values_diff *values, const tread_element_type *type, const void *a, const void *b,
                           int64_t n) {
    const char *x = a, *y = b;
    if (memcmp(a, b, (size_t)n * type->size) != 0)
        for (int64_t i = 0; i < n; i++, x += type->size, y += type->size) {
            if (memcmp(x, y, type->size) == 0)
                continue;
            if (values->n_differ++ == 0) {
                values->first = values->n + i;
                tread_element_text(values->is, type, x);
                tread_element_text(values->other, type, y);
            }
        }
    values->n += n;
}

void tread_values_diff_report(const tread_values_diff *values, tread_diff *diff, const char *path, int rank,
                              const int64_t *shape) {
    char place[TREAD_SHAPE_TEXT], text[TREAD_SHAPE_TEXT + 2 * TREAD_ELEMENT_TEXT + 100];
    int64_t index[TREAD_MAX_RANK] = {0}, rest = values->first;
    if (values->n_differ == 0)
        return;
    for (int axis = rank - 1; axis >= 0; axis--) {
        index[axis] = rest % shape[axis];
        rest /= shape[axis];
    }
    if (rank < 0)
        snprintf(place, sizeof place, "%" PRId64, values->first);
    snprintf(text, sizeof text, "element %s is %s, not %s; %" PRId64 " of %" PRId64 " elements differ",
             rank < 0 ? place : tread_shape_text(place, rank, index), values->is, values->other, values->n_differ,
             values->n);
    hand_on(diff, &(tread_difference){TREAD_DIFFERENT_VALUE, path, text, values->first, values->n_differ});
}

/* ---- Files ---- */

static tread_status compare_values(const tread_safetensors *a, const tread_safetensors_entry *x,
                                   const tread_safetensors *b, const tread_safetensors_entry *y, const char *name,
                                   char *buffer, tread_diff *diff) {
    tread_values_diff values = {.n = 0};
    uint64_t bytes = x->end - x->begin;
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
        TREAD_TRY(tread_safetensors_read_part(a, x, at, buffer, n));
        TREAD_TRY(tread_safetensors_read_part(b, y, at, buffer + CHUNK, n));
        tread_values_diff_add(&values, x->type, buffer, buffer + CHUNK, (int64_t)(n / x->type->size));
    }
    tread_values_diff_report(&values, diff, name, x->rank, x->shape);
    return TREAD_OK;
}

/* One of the files, with what its names have before those that are compared: of a checkpoint beside a file without
 * state it is the model that is compared. */
typedef struct side {
    const tread_safetensors *file;
    const char *prefix;
} side;

/* The name without the prefix; NULL: the tensor is not compared. */
static const char *bare_name(const side *s, const tread_safetensors_entry *entry) {
    size_t length = strlen(s->prefix);
    return strncmp(entry->name, s->prefix, length) == 0 ? entry->name + length : NULL;
}

static tread_status find(const side *s, const char *bare, const tread_safetensors_entry **ret_entry) {
    size_t before = strlen(s->prefix), size = strlen(bare) + 1;
    char *name = tread_alloc(before + size, "the name of a tensor");
    if (name == NULL)
        return TREAD_ERROR_MEMORY;
    memcpy(name, s->prefix, before);
    memcpy(name + before, bare, size);
    *ret_entry = tread_safetensors_find(s->file, name);
    tread_free(name);
    return TREAD_OK;
}

static const char *describe(const tread_safetensors_entry *entry, char text[TREAD_SHAPE_TEXT]) {
    return entry->rank < 0 ? "of a high rank" : tread_shape_text(text, entry->rank, entry->shape);
}

static tread_status compare_entries(const side *a, const tread_safetensors_entry *x, const side *b, char *buffer,
                                    tread_diff *diff) {
    char is[TREAD_SHAPE_TEXT], other[TREAD_SHAPE_TEXT];
    const char *name = bare_name(a, x);
    const tread_safetensors_entry *y;
    if (name == NULL)
        return TREAD_OK;
    TREAD_TRY(find(b, name, &y));
    if (y == NULL)
        tread_diff_report(diff, TREAD_ONLY_IN_FIRST, name, "a tensor %s of %s in the first alone", describe(x, is),
                          x->type->name);
    else if (x->type != y->type)
        tread_diff_report(diff, TREAD_DIFFERENT_DTYPE, name, "of %s, not %s", x->type->name, y->type->name);
    else if (x->rank != y->rank || memcmp(x->shape, y->shape, sizeof x->shape) != 0 ||
             x->end - x->begin != y->end - y->begin)
        tread_diff_report(diff, TREAD_DIFFERENT_SHAPE, name, "of shape %s, not %s", describe(x, is),
                          describe(y, other));
    else
        return compare_values(a->file, x, b->file, y, name, buffer, diff);
    return TREAD_OK;
}

static tread_status compare_files(const side *a, const side *b, char *buffer, tread_diff *diff) {
    char shape[TREAD_SHAPE_TEXT];
    for (size_t i = 0; i < a->file->n && !diff->ended; i++)
        TREAD_TRY(compare_entries(a, &a->file->entries[i], b, buffer, diff));
    for (size_t i = 0; i < b->file->n && !diff->ended; i++) {
        const tread_safetensors_entry *x = NULL, *y = &b->file->entries[i];
        const char *name = bare_name(b, y);
        if (name == NULL)
            continue;
        TREAD_TRY(find(a, name, &x));
        if (x == NULL)
            tread_diff_report(diff, TREAD_ONLY_IN_SECOND, name, "a tensor %s of %s in the second alone",
                              describe(y, shape), y->type->name);
    }
    return TREAD_OK;
}

tread_status tread_tensor_file_diff(const tread_tensor_file *first, const tread_tensor_file *second,
                                    tread_difference_fn *fn, void *data, size_t *ret_n) {
    TREAD_REFUSE_NULL("tensor file diff", first);
    TREAD_REFUSE_NULL("tensor file diff", second);
    tread_diff diff = {.fn = fn, .data = data};
    char *buffer = tread_alloc(2 * CHUNK, "values of two files");
    if (buffer == NULL)
        return TREAD_ERROR_MEMORY;
    bool a = tread_tensor_file_has_state(first), b = tread_tensor_file_has_state(second);
    tread_status status = compare_files(&(side){&first->file, a && !b ? "model." : ""},
                                        &(side){&second->file, b && !a ? "model." : ""}, buffer, &diff);
    tread_free(buffer);
    if (status == TREAD_OK && ret_n != NULL)
        *ret_n = diff.n;
    return status;
}
