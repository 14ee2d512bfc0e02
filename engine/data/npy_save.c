#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/file_writer.h"

static const char *type_text(tread_dtype dtype) {
    switch (dtype) {
    case TREAD_FLOAT32: return "<f4";
    case TREAD_FLOAT64: return "<f8";
    case TREAD_INT32: return "<i4";
    case TREAD_UINT8: return "|u1";
    }
    return "";
}

/* Magic, version, length, and the literal, filled with spaces to a multiple of 64 bytes and ended by a line feed. */
static size_t write_header(const tread_tensor *x, char *text, size_t size) {
    size_t length = (size_t)snprintf(text + 10, size - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                                     type_text(x->dtype)) +
                    10;
    for (int i = 0; i < x->rank; i++)
        length += (size_t)snprintf(text + length, size - length, "%lld%s", (long long)x->shape[i],
                                   i + 1 < x->rank ? ", "
                                   : x->rank == 1  ? ","
                                                   : "");
    length += (size_t)snprintf(text + length, size - length, "), }");
    size_t whole = (length + 1 + 63) / 64 * 64;
    memset(text + length, ' ', whole - length - 1);
    text[whole - 1] = '\n';
    memcpy(text, "\x93NUMPY\x01", 7);
    text[7] = 0;
    text[8] = (char)((whole - 10) & 0xff);
    text[9] = (char)((whole - 10) >> 8);
    return whole;
}

tread_status tread_npy_save(const char *path, const tread_tensor *x) {
    char header[512];
    TREAD_REFUSE_NULL("npy save", path);
    TREAD_REFUSE_NULL("npy save", x);
    size_t length = write_header(x, header, sizeof header);
    tread_file_writer writer;
    TREAD_TRY(tread_file_begin(&writer, path, length + tread_tensor_bytes(x)));
    tread_status status = tread_file_write(&writer, header, length);
    if (status == TREAD_OK)
        status = tread_file_write(&writer, x->data, tread_tensor_bytes(x));
    if (status != TREAD_OK) {
        tread_file_abort(&writer);
        return status;
    }
    return tread_file_commit(&writer);
}
