#include "engine/profile/tensor_layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/status.h"

/* The most elements, as it would be written. */
#define MOST "1Ti"
#define FORMS "big:N, equal:COUNTxN, tiny:COUNTxN, mlp:A-B-...-Z, sizes:N+COUNTxN+..."

/* A part of the text, for sentences. */
typedef struct part {
    const char *text;
    size_t n;
} part;

static part up_to(const char *text, const char *ends) { return (part){text, strcspn(text, ends)}; }

static const struct {
    const char *suffix;
    int64_t factor;
} suffixes[] = {{"", 1},         {"k", 1000},     {"M", 1000000},  {"G", 1000000000},       {"T", 1000000000000},
                {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", (int64_t)1 << 40}};

/* "64Ki": a whole number from 1 on with a suffix. such_as: an example of what it stands in. */
static tread_status read_count(const tread_tensor_layout *layout, part p, const char *such_as, int64_t *ret_value) {
    int64_t value = 0, factor = 0;
    size_t digits = 0;
    bool fits = true;
    for (; digits < p.n && isdigit((unsigned char)p.text[digits]); digits++)
        fits &=
            !__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, p.text[digits] - '0', &value);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strlen(suffixes[i].suffix) == p.n - digits &&
            strncmp(suffixes[i].suffix, p.text + digits, p.n - digits) == 0)
            factor = suffixes[i].factor;
    if (digits == 0 || factor == 0 || (fits && value == 0))
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "layout \"%s\": \"%.*s\" is not a whole number from 1 to " MOST ", as in %s", layout->text,
                          (int)p.n, p.text, such_as);
    fits &= !__builtin_mul_overflow(value, factor, &value);
    if (!fits || value > TREAD_LAYOUT_MOST_ELEMENTS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": \"%.*s\" is more than " MOST ", which is %" PRId64,
                          layout->text, (int)p.n, p.text, TREAD_LAYOUT_MOST_ELEMENTS);
    *ret_value = value;
    return TREAD_OK;
}

static tread_status add(tread_tensor_layout *layout, int64_t count, int rank, int64_t rows, int64_t columns) {
    int64_t elements;
    if (layout->n_runs == TREAD_LAYOUT_RUNS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": it has more than %d parts", layout->text,
                          TREAD_LAYOUT_RUNS);
    if (count > TREAD_LAYOUT_MOST_TENSORS - layout->tensors)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": it has more than %d tensors", layout->text,
                          TREAD_LAYOUT_MOST_TENSORS);
    if (__builtin_mul_overflow(rows, columns, &elements) || __builtin_mul_overflow(elements, count, &elements) ||
        elements > TREAD_LAYOUT_MOST_ELEMENTS - layout->elements)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": it has more than %" PRId64 " elements", layout->text,
                          TREAD_LAYOUT_MOST_ELEMENTS);
    layout->runs[layout->n_runs++] = (tread_tensor_run){count, rank, {rows, rank == 2 ? columns : 0}};
    layout->tensors += count;
    layout->elements += elements;
    return TREAD_OK;
}

static tread_status read_big(tread_tensor_layout *layout, const char *text) {
    int64_t n;
    TREAD_TRY(read_count(layout, up_to(text, ""), "big:4096, big:1000k, big:16Mi", &n));
    return add(layout, 1, 1, n, 1);
}

static tread_status read_times(tread_tensor_layout *layout, part p, bool may_be_one) {
    const char *times = memchr(p.text, 'x', p.n);
    const char *such_as = may_be_one ? "sizes:1000x64Ki+4096" : "equal:1000x64Ki";
    int64_t count = 1, n;
    if (times == NULL && !may_be_one)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": \"%.*s\" is not COUNTxN, such as 1000x64Ki",
                          layout->text, (int)p.n, p.text);
    if (times != NULL) {
        TREAD_TRY(read_count(layout, (part){p.text, (size_t)(times - p.text)}, such_as, &count));
        p.n -= (size_t)(times + 1 - p.text);
        p.text = times + 1;
    }
    TREAD_TRY(read_count(layout, p, such_as, &n));
    return add(layout, count, 1, n, 1);
}

static tread_status read_equal(tread_tensor_layout *layout, const char *text) {
    return read_times(layout, up_to(text, ""), false);
}

static tread_status read_sizes(tread_tensor_layout *layout, const char *text) {
    for (part p = up_to(text, "+");; p = up_to(p.text + p.n + 1, "+")) {
        TREAD_TRY(read_times(layout, p, true));
        if (p.text[p.n] == '\0')
            return TREAD_OK;
    }
}

/* Weights are [out, in], as in the layers. */
static tread_status read_mlp(tread_tensor_layout *layout, const char *text) {
    int64_t before = 0;
    for (part p = up_to(text, "-");; p = up_to(p.text + p.n + 1, "-")) {
        int64_t n;
        TREAD_TRY(read_count(layout, p, "mlp:784-512-256-10, with dashes between the widths", &n));
        if (before > 0) {
            TREAD_TRY(add(layout, 1, 2, n, before));
            TREAD_TRY(add(layout, 1, 1, n, 1));
        }
        before = n;
        if (p.text[p.n] == '\0')
            break;
    }
    if (layout->n_runs == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "layout \"%s\": mlp needs two widths or more, such as mlp:784-512-256-10", layout->text);
    return TREAD_OK;
}

static const struct {
    const char *name;
    tread_status (*read)(tread_tensor_layout *layout, const char *text);
} kinds[] = {{"big", read_big}, {"equal", read_equal}, {"tiny", read_equal}, {"mlp", read_mlp}, {"sizes", read_sizes}};

tread_status tread_tensor_layout_read(const char *text, tread_tensor_layout *ret_layout) {
    if (text == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout: the text is NULL");
    const char *colon = strchr(text, ':');
    if (colon == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": there is no colon; the forms are " FORMS, text);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].name) == (size_t)(colon - text) &&
            strncmp(kinds[i].name, text, (size_t)(colon - text)) == 0) {
            tread_tensor_layout layout = {.text = text};
            TREAD_TRY(kinds[i].read(&layout, colon + 1));
            *ret_layout = layout;
            return TREAD_OK;
        }
    return tread_fail(TREAD_ERROR_ARGUMENT, "layout \"%s\": there is no kind \"%.*s\"; the forms are " FORMS, text,
                      (int)(colon - text), text);
}
