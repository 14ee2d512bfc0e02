#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/decimal.h"
#include "engine/file_writer.h"

/* Text on its way to the file. */
typedef struct output {
    tread_file_writer *writer;
    size_t used;
    char text[1 << 16];
} output;

static tread_status flush(output *out) {
    size_t n = out->used;
    out->used = 0;
    return tread_file_write(out->writer, out->text, n);
}

static tread_status put(output *out, const char *text, size_t n) {
    if (out->used + n > sizeof out->text)
        TREAD_TRY(flush(out));
    if (n > sizeof out->text)
        return tread_file_write(out->writer, text, n);
    memcpy(out->text + out->used, text, n);
    out->used += n;
    return TREAD_OK;
}

static tread_status put_name(output *out, const char *name) {
    if (name[strcspn(name, ",\"\r\n")] == '\0' && name[0] != '\0')
        return put(out, name, strlen(name));
    TREAD_TRY(put(out, "\"", 1));
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            TREAD_TRY(put(out, "\"", 1));
        TREAD_TRY(put(out, c, 1));
    }
    return put(out, "\"", 1);
}

static tread_status put_value(output *out, const tread_tensor *x, int64_t i) {
    char text[TREAD_DECIMAL_TEXT];
    switch (x->dtype) {
    case TREAD_FLOAT32: return put(out, text, tread_decimal_print_float(text, ((const float *)x->data)[i]));
    case TREAD_FLOAT64: return put(out, text, tread_decimal_print_double(text, ((const double *)x->data)[i]));
    case TREAD_INT32: return put(out, text, (size_t)snprintf(text, sizeof text, "%d", ((const int32_t *)x->data)[i]));
    case TREAD_UINT8: return put(out, text, (size_t)snprintf(text, sizeof text, "%d", ((const uint8_t *)x->data)[i]));
    }
    return tread_fail(TREAD_ERROR_DTYPE, "csv: an unknown type");
}

static tread_status put_all(output *out, const tread_tensor *x, const char *const *names) {
    int64_t columns = x->rank == 1 ? 1 : x->shape[1];
    for (int64_t i = 0; names != NULL && i < columns; i++) {
        TREAD_TRY(put_name(out, names[i]));
        TREAD_TRY(put(out, i + 1 < columns ? "," : "\n", 1));
    }
    for (int64_t i = 0; i < x->count; i++) {
        TREAD_TRY(put_value(out, x, i));
        TREAD_TRY(put(out, (i + 1) % columns == 0 ? "\n" : ",", 1));
    }
    return flush(out);
}

tread_status tread_csv_save(const char *path, const tread_tensor *x, const char *const *names) {
    char text[TREAD_SHAPE_TEXT];
    TREAD_REFUSE_NULL("csv save", path);
    TREAD_REFUSE_NULL("csv save", x);
    if (x->rank < 1 || x->rank > 2 || x->count == 0)
        return tread_fail(TREAD_ERROR_SHAPE, "csv save: a tensor %s, expected (n) or (n, columns)",
                          tread_shape_text(text, x->rank, x->shape));
    tread_file_writer writer;
    TREAD_TRY(tread_file_begin(&writer, path, 0)); /* how long it will be is not known */
    output out = {.writer = &writer};
    tread_status status = put_all(&out, x, names);
    if (status != TREAD_OK) {
        tread_file_abort(&writer);
        return status;
    }
    return tread_file_commit(&writer);
}
