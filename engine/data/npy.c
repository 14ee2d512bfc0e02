#include "engine/data/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"

#define PREFIX 8                     /* magic and version */
#define MAX_HEADER ((size_t)1 << 16) /* NumPy's own limit is less */
#define CHUNK_BYTES ((size_t)1 << 16)

typedef unsigned long long ull;

static tread_status read_bytes(tread_npy_input *input, void *data, size_t n, size_t *ret_n) {
    return input->reader != NULL ? tread_reader_read(input->reader, data, n, ret_n)
                                 : tread_zip_entry_read(input->entry, data, n, ret_n);
}

static tread_status read_exactly(tread_npy_input *input, void *data, size_t n, const char *what) {
    size_t got;
    TREAD_TRY(read_bytes(input, data, n, &got));
    if (got < n)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: %zu bytes of %s, expected %zu", input->name, got, what,
                          n);
    return TREAD_OK;
}

/* --- The header: a literal of Python, as in {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } --- */

typedef struct parser {
    const char *name; /* of the file */
    const char *at, *end;
} parser;

static tread_status header_fails(const parser *p, const char *what) {
    char shown[33];
    size_t n = (size_t)(p->end - p->at) < sizeof shown - 1 ? (size_t)(p->end - p->at) : sizeof shown - 1;
    for (size_t i = 0; i < n; i++)
        shown[i] = p->at[i] < ' ' || p->at[i] == 0x7f ? '?' : p->at[i];
    shown[n] = '\0';
    return tread_fail(TREAD_ERROR_FORMAT, "%s: NPY header: %s, found \"%s\"", p->name, what, shown);
}

static void skip_spaces(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t'))
        p->at++;
}

static bool take(parser *p, const char *text) {
    size_t n = strlen(text);
    skip_spaces(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n) != 0)
        return false;
    p->at += n;
    return true;
}

/* A string of at most size - 1 bytes without escapes. */
static bool take_string(parser *p, char *ret_text, size_t size) {
    skip_spaces(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"'))
        return false;
    const char *begin = p->at + 1, *close = memchr(begin, *p->at, (size_t)(p->end - begin));
    if (close == NULL || (size_t)(close - begin) >= size || memchr(begin, '\\', (size_t)(close - begin)) != NULL)
        return false;
    memcpy(ret_text, begin, (size_t)(close - begin));
    ret_text[close - begin] = '\0';
    p->at = close + 1;
    return true;
}

static tread_status take_type(parser *p, tread_npy_header *header) {
    static const struct {
        const char *text;
        tread_npy_kind kind;
        int item;
    } types[] = {{"<f4", TREAD_NPY_FLOAT, 4},   {"<f8", TREAD_NPY_FLOAT, 8}, {"<i4", TREAD_NPY_INTEGER, 4},
                 {"<i8", TREAD_NPY_INTEGER, 8}, {"|u1", TREAD_NPY_BYTE, 1},  {"<u1", TREAD_NPY_BYTE, 1},
                 {"|b1", TREAD_NPY_BOOL, 1},    {"<b1", TREAD_NPY_BOOL, 1}};
    char text[16];
    skip_spaces(p);
    parser before = *p;
    if (!take_string(p, text, sizeof text))
        return header_fails(p, "the type is not a short string");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(text, types[i].text) == 0) {
            header->kind = types[i].kind;
            header->item = types[i].item;
            return TREAD_OK;
        }
    return header_fails(&before, text[0] == '>'
                                     ? "the type has its big end first; expected <f4, <f8, <i4, <i8, |u1 or |b1"
                                     : "the type is none of <f4, <f8, <i4, <i8, |u1 and |b1");
}

static tread_status take_shape(parser *p, tread_npy_header *header) {
    header->rank = 0;
    if (!take(p, "("))
        return header_fails(p, "the shape is no tuple");
    while (!take(p, ")")) {
        int64_t extent = 0;
        const char *begin = p->at;
        if (header->rank == TREAD_MAX_RANK)
            return header_fails(p, "more axes than the 6 that are accepted");
        for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
            if (__builtin_mul_overflow(extent, (int64_t)10, &extent) ||
                __builtin_add_overflow(extent, (int64_t)(*p->at - '0'), &extent))
                return header_fails(p, "an extent beyond 64 bits");
        if (p->at == begin)
            return header_fails(p, "an extent is no whole number");
        header->shape[header->rank++] = extent;
        if (take(p, ")"))
            break;
        if (!take(p, ","))
            return header_fails(p, "no comma between extents");
    }
    return TREAD_OK;
}

static tread_status parse_header(parser *p, tread_npy_header *header) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false, false, false};
    if (!take(p, "{"))
        return header_fails(p, "it is no dictionary");
    while (!take(p, "}")) {
        char key[32];
        parser before = *p;
        if (!take_string(p, key, sizeof key))
            return header_fails(p, "expected descr, fortran_order and shape");
        int k = 0;
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen[k])
            return header_fails(&before, k == 3 ? "a key that is not known" : "a key for the second time");
        seen[k] = true;
        if (!take(p, ":"))
            return header_fails(p, "no colon behind a key");
        if (k == 0)
            TREAD_TRY(take_type(p, header));
        else if (k == 2)
            TREAD_TRY(take_shape(p, header));
        else if (!(header->fortran = take(p, "True")) && !take(p, "False"))
            return header_fails(p, "fortran_order is neither True nor False");
        if (!take(p, ",") && (skip_spaces(p), p->at == p->end || *p->at != '}'))
            return header_fails(p, "no comma between entries");
    }
    skip_spaces(p);
    if (p->at != p->end)
        return header_fails(p, "something follows the dictionary");
    if (!seen[0] || !seen[1] || !seen[2])
        return header_fails(p, !seen[0]   ? "there is no descr"
                               : !seen[1] ? "there is no fortran_order"
                                          : "there is no shape");
    return TREAD_OK;
}

/* Bytes that the input can hold, and whether it holds exactly those. */
static uint64_t limit_of(const tread_npy_input *input, bool *ret_exact) {
    *ret_exact = input->reader == NULL || (input->reader->regular && !input->reader->gzip);
    return input->reader != NULL ? tread_reader_limit(input->reader) : tread_zip_entry_size(input->entry);
}

static tread_status check_size(const tread_npy_input *input, tread_npy_header *header, uint64_t begun) {
    char shape[TREAD_SHAPE_TEXT];
    uint64_t bytes = (uint64_t)header->item;
    bool overflow = false, exact;
    tread_shape_text(shape, header->rank, header->shape);
    for (int i = 0; i < header->rank; i++)
        overflow |= __builtin_mul_overflow(bytes, (uint64_t)header->shape[i], &bytes);
    for (int i = 0; i < header->rank; i++) /* a 0 among numbers that overflow */
        if (header->shape[i] == 0)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: the shape %s holds no values", input->name, shape);
    if (overflow || bytes > TREAD_NPY_MAX_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: the shape %s is more than the %llu bytes that are accepted",
                          input->name, shape, (ull)TREAD_NPY_MAX_BYTES);
    header->count = (int64_t)(bytes / (uint64_t)header->item);
    uint64_t limit = limit_of(input, &exact);
    if (limit != UINT64_MAX && begun + bytes > limit)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: the shape %s needs %llu bytes, and %s %llu", input->name,
                          shape, (ull)(begun + bytes), exact ? "there are" : "the file can hold at most", (ull)limit);
    if (exact && begun + bytes < limit)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: too long: the shape %s needs %llu bytes, and there are %llu",
                          input->name, shape, (ull)(begun + bytes), (ull)limit);
    return TREAD_OK;
}

static tread_status read_literal(tread_npy_input *input, size_t length, tread_npy_header *header) {
    char *text = tread_alloc(length + 1, "header of an NPY file");
    if (text == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = read_exactly(input, text, length, "header");
    parser p = {.name = input->name, .at = text, .end = text + length};
    if (status == TREAD_OK)
        status = parse_header(&p, header);
    tread_free(text);
    return status;
}

tread_status tread_npy_read_header(tread_npy_input *input, tread_npy_header *ret_header) {
    uint8_t prefix[PREFIX + 4];
    tread_npy_header header = {0};
    TREAD_TRY(read_exactly(input, prefix, PREFIX, "the beginning"));
    if (memcmp(prefix, "\x93NUMPY", 6) != 0)
        return tread_fail(TREAD_ERROR_FORMAT,
                          "%s: not an NPY file: begins with %02x %02x %02x %02x, expected 93 4e 55 4d", input->name,
                          prefix[0], prefix[1], prefix[2], prefix[3]);
    if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: NPY version %d.%d, expected 1.0, 2.0 or 3.0", input->name, prefix[6],
                          prefix[7]);
    size_t n = prefix[6] == 1 ? 2 : 4, length = 0;
    TREAD_TRY(read_exactly(input, prefix + PREFIX, n, "the header's length"));
    for (size_t i = n; i-- > 0;)
        length = length << 8 | prefix[PREFIX + i];
    if (length > MAX_HEADER)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: a header of %zu bytes, expected at most %zu", input->name, length,
                          MAX_HEADER);
    TREAD_TRY(read_literal(input, length, &header));
    TREAD_TRY(check_size(input, &header, PREFIX + n + length));
    *ret_header = header;
    return TREAD_OK;
}

/* --- The values --- */

/* Value i of a chunk, as a double, in which all but large int64 are exact. */
static double value_at(const tread_npy_header *header, const uint8_t *chunk, size_t i) {
    float f;
    double d;
    int32_t i4;
    int64_t i8;
    switch (header->kind) {
    case TREAD_NPY_FLOAT:
        if (header->item == 4)
            return memcpy(&f, chunk + 4 * i, 4), (double)f;
        return memcpy(&d, chunk + 8 * i, 8), d;
    case TREAD_NPY_INTEGER:
        if (header->item == 4)
            return memcpy(&i4, chunk + 4 * i, 4), (double)i4;
        return memcpy(&i8, chunk + 8 * i, 8), (double)i8;
    default: return chunk[i];
    }
}

/* Puts one value in its place. */
static tread_status put(const tread_npy_input *input, const tread_npy_header *header, tread_dtype dtype, bool finite,
                        double value, int64_t i, void *to) {
    bool fits = true;
    switch (dtype) {
    case TREAD_FLOAT32:
        ((float *)to)[i] = (float)value;
        fits = !finite || isfinite((float)value);
        break;
    case TREAD_FLOAT64:
        ((double *)to)[i] = value;
        fits = !finite || isfinite(value);
        break;
    case TREAD_INT32:
        fits = value >= INT32_MIN && value <= INT32_MAX && value == floor(value);
        ((int32_t *)to)[i] = fits ? (int32_t)value : 0;
        break;
    case TREAD_UINT8:
        fits = header->kind != TREAD_NPY_BOOL || value <= 1;
        ((uint8_t *)to)[i] = (uint8_t)value;
        break;
    }
    if (header->kind == TREAD_NPY_BOOL && value > 1)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: value %lld, a bool, is the byte %d, expected 0 or 1", input->name,
                          (long long)i, (int)value);
    if (fits)
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_FORMAT, "%s: value %lld is %g, expected %s", input->name, (long long)i, value,
                      dtype == TREAD_INT32 ? "a whole number within int32" : "a finite number within float32");
}

static bool same_bytes(const tread_npy_header *header, tread_dtype dtype) {
    return (header->kind == TREAD_NPY_BYTE && dtype == TREAD_UINT8) ||
           (header->kind == TREAD_NPY_INTEGER && header->item == 4 && dtype == TREAD_INT32);
}

static tread_status read_converted(tread_npy_input *input, const tread_npy_header *header, tread_dtype dtype,
                                   bool finite, void *to) {
    _Alignas(8) uint8_t chunk[CHUNK_BYTES];
    size_t item = (size_t)header->item;
    for (int64_t done = 0; done < header->count;) {
        size_t left = (size_t)(header->count - done), n = left < CHUNK_BYTES / item ? left : CHUNK_BYTES / item;
        TREAD_TRY(read_exactly(input, chunk, n * item, "values"));
        for (size_t i = 0; i < n; i++, done++)
            TREAD_TRY(put(input, header, dtype, finite, value_at(header, chunk, i), done, to));
    }
    return TREAD_OK;
}

/* Moves values, of size bytes, from Fortran order to C order. */
static void reorder(const tread_npy_header *header, size_t size, const uint8_t *from, uint8_t *to) {
    int64_t index[TREAD_MAX_RANK] = {0}, stride[TREAD_MAX_RANK], step = 1;
    for (int a = 0; a < header->rank; a++) {
        stride[a] = step;
        step *= header->shape[a];
    }
    int64_t at = 0; /* in from */
    for (int64_t i = 0; i < header->count; i++) {
        memcpy(to + (size_t)i * size, from + (size_t)at * size, size);
        for (int a = header->rank - 1; a >= 0; a--) {
            at += stride[a];
            if (++index[a] < header->shape[a])
                break;
            at -= stride[a] * header->shape[a];
            index[a] = 0;
        }
    }
}

/* What is behind the values: nothing; looking also lets checksums be checked. */
static tread_status read_end(tread_npy_input *input) {
    uint8_t byte;
    size_t got;
    TREAD_TRY(read_bytes(input, &byte, 1, &got));
    return got == 0 ? TREAD_OK : tread_fail(TREAD_ERROR_FORMAT, "%s: too long: bytes follow the values", input->name);
}

tread_status tread_npy_read_values(tread_npy_input *input, const tread_npy_header *header, tread_dtype dtype,
                                   bool finite, void **ret_values) {
    size_t size = tread_dtype_size(dtype);
    uint8_t *values = tread_calloc((size_t)header->count, size, "values of an NPY file"), *ordered = NULL;
    if (values == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = same_bytes(header, dtype)
                              ? read_exactly(input, values, (size_t)header->count * size, "values")
                              : read_converted(input, header, dtype, finite, values);
    if (status == TREAD_OK)
        status = read_end(input);
    if (status == TREAD_OK && header->fortran && header->rank > 1) {
        ordered = tread_calloc((size_t)header->count, size, "values of an NPY file");
        if (ordered != NULL)
            reorder(header, size, values, ordered);
        status = ordered != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
    }
    if (status != TREAD_OK || ordered != NULL)
        tread_free(values);
    if (status == TREAD_OK)
        *ret_values = ordered != NULL ? ordered : values;
    return status;
}
