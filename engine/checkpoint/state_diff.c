#include <inttypes.h>
#include <string.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/diff.h"
#include "engine/checkpoint/state_path.h"
#include "optim/report.h"

typedef struct walk {
    tread_diff diff;
    tread_state_path path;
} walk;

static void compare_tensors(walk *w, const tread_tensor *a, const tread_tensor *b) {
    char is[TREAD_SHAPE_TEXT], other[TREAD_SHAPE_TEXT];
    const char *path = w->path.text;
    if (a->dtype != b->dtype) {
        tread_diff_report(&w->diff, TREAD_DIFFERENT_DTYPE, path, "of %s, not %s", tread_dtype_name(a->dtype),
                          tread_dtype_name(b->dtype));
    } else if (!tread_tensor_same_shape(a, b)) {
        tread_diff_report(&w->diff, TREAD_DIFFERENT_SHAPE, path, "of shape %s, not %s",
                          tread_shape_text(is, a->rank, a->shape), tread_shape_text(other, b->rank, b->shape));
    } else {
        tread_values_diff values = {.n = 0};
        tread_values_diff_add(&values, tread_element_type_of(a->dtype), a->data, b->data, a->count);
        tread_values_diff_report(&values, &w->diff, path, a->rank, a->shape);
    }
}

static void compare_values(walk *w, const tread_state *a, const tread_state *b) {
    const char *path = w->path.text, *s = "", *t = "";
    double x = 0, y = 0;
    int64_t i = 0, j = 0;
    const tread_tensor *v, *u;
    char is[TREAD_NUMBER_TEXT], other[TREAD_NUMBER_TEXT];
    switch (tread_state_kind_of(a)) {
    case TREAD_STATE_REAL:
        if (tread_state_as_real(a, &x) == TREAD_OK && tread_state_as_real(b, &y) == TREAD_OK &&
            memcmp(&x, &y, sizeof x) != 0)
            tread_diff_report(&w->diff, TREAD_DIFFERENT_VALUE, path, "%s, not %s", tread_number_text(is, x),
                              tread_number_text(other, y));
        break;
    case TREAD_STATE_INTEGER:
        if (tread_state_as_integer(a, &i) == TREAD_OK && tread_state_as_integer(b, &j) == TREAD_OK && i != j)
            tread_diff_report(&w->diff, TREAD_DIFFERENT_VALUE, path, "%" PRId64 ", not %" PRId64, i, j);
        break;
    case TREAD_STATE_STRING:
        if (tread_state_as_string(a, &s) == TREAD_OK && tread_state_as_string(b, &t) == TREAD_OK && strcmp(s, t) != 0)
            tread_diff_report(&w->diff, TREAD_DIFFERENT_VALUE, path, "'%.400s', not '%.400s'", s, t);
        break;
    case TREAD_STATE_TENSOR:
        if (tread_state_as_tensor(a, &v) == TREAD_OK && tread_state_as_tensor(b, &u) == TREAD_OK)
            compare_tensors(w, v, u);
        break;
    case TREAD_STATE_TREE:
    case TREAD_STATE_LIST: break;
    }
}

/* The part of the same name or index; as a rule it stands at the same place. */
static const tread_state *counterpart(const tread_state *part, const tread_state *other, size_t i) {
    const char *name = tread_state_name(part);
    const tread_state *guess = tread_state_at(other, i);
    if (name == NULL || (guess != NULL && strcmp(tread_state_name(guess), name) == 0))
        return guess;
    return tread_state_find(other, name);
}

static void report_alone(walk *w, const tread_state *part, tread_difference_kind kind) {
    tread_diff_report(&w->diff, kind, w->path.text, "%s in the %s alone",
                      tread_state_kind_name(tread_state_kind_of(part)),
                      kind == TREAD_ONLY_IN_FIRST ? "first" : "second");
}

static tread_status compare(walk *w, const tread_state *a, const tread_state *b) {
    tread_state_kind kind = tread_state_kind_of(a);
    size_t before;
    if (kind != tread_state_kind_of(b)) {
        tread_diff_report(&w->diff, TREAD_DIFFERENT_KIND, w->path.text, "of kind %s, not %s",
                          tread_state_kind_name(kind), tread_state_kind_name(tread_state_kind_of(b)));
        return TREAD_OK;
    }
    compare_values(w, a, b);
    for (size_t i = 0; i < tread_state_count(a) && !w->diff.ended; i++) {
        const tread_state *part = tread_state_at(a, i), *other = counterpart(part, b, i);
        TREAD_TRY(tread_state_path_push(&w->path, tread_state_name(part), i, &before));
        if (other == NULL)
            report_alone(w, part, TREAD_ONLY_IN_FIRST);
        else
            TREAD_TRY(compare(w, part, other));
        tread_state_path_pop(&w->path, before);
    }
    for (size_t i = 0; i < tread_state_count(b) && !w->diff.ended; i++) {
        const tread_state *part = tread_state_at(b, i);
        if (counterpart(part, a, i) != NULL)
            continue;
        TREAD_TRY(tread_state_path_push(&w->path, tread_state_name(part), i, &before));
        report_alone(w, part, TREAD_ONLY_IN_SECOND);
        tread_state_path_pop(&w->path, before);
    }
    return TREAD_OK;
}

tread_status tread_state_diff(const tread_state *first, const tread_state *second, tread_difference_fn *fn, void *data,
                              size_t *ret_n) {
    TREAD_REFUSE_NULL("state diff", first);
    TREAD_REFUSE_NULL("state diff", second);
    walk w = {.diff = {.fn = fn, .data = data}};
    TREAD_TRY(tread_state_path_create(&w.path));
    tread_status status = compare(&w, first, second);
    tread_state_path_destroy(&w.path);
    if (status == TREAD_OK && ret_n != NULL)
        *ret_n = w.diff.n;
    return status;
}
