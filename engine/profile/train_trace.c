#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/file_writer.h"
#include "engine/profile/train_profile.h"

/* Trace Event Format, as Chrome and Perfetto read it: complete events ("ph":"X") with times in microseconds. */

#define BUFFER_BYTES ((size_t)1 << 16)
#define EVENT_BYTES 1024 /* more than an event takes */
#define NAME_BYTES 512

typedef struct trace_file {
    tread_file_writer writer;
    char *buffer;
    size_t n;
    const tread_train_profile_private *own;
    char (*names)[NAME_BYTES]; /* of the recorder's rows, quoted */
    uint64_t origin;           /* of the clock */
    const char *separator;
} trace_file;

/* Names of parameters are the caller's: jansson escapes them; one that is not UTF-8 is left out. */
static void quote(const char *text, char *ret_quoted) {
    json_t *string = json_string(text);
    size_t n = string != NULL ? json_dumpb(string, ret_quoted, NAME_BYTES - 1, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : 0;
    json_decref(string);
    if (n > 0 && n < NAME_BYTES)
        ret_quoted[n] = '\0';
    else
        snprintf(ret_quoted, NAME_BYTES, "\"?\"");
}

static void name_row(const trace_file *file, const tread_time_span_row *row, int32_t part_index, char *ret_name) {
    char text[256];
    if (part_index < 0) {
        quote(row->key.name, ret_name);
        return;
    }
    const tread_profile_part *part = &file->own->parts[part_index];
    snprintf(text, sizeof text, "%s%s%s%s%s", part->name, part->phase[0] != '\0' ? " " : "", part->phase,
             part->detail[0] != '\0' ? " " : "", part->detail);
    quote(text, ret_name);
}

static const char *category(const tread_time_span_row *row) {
    return row->depth == 0                       ? "step"
           : row->key.extents[0] > 0             ? "product"
           : row->key.phase == TREAD_TRACE_OTHER ? "phase"
                                                 : "operation";
}

static tread_status flush(trace_file *file) {
    const size_t n = file->n;
    file->n = 0;
    return n > 0 ? tread_file_write(&file->writer, file->buffer, n) : TREAD_OK;
}

static tread_status write_text(trace_file *file, const char *text) {
    file->n += (size_t)snprintf(file->buffer + file->n, BUFFER_BYTES - file->n, "%s%s", file->separator, text);
    file->separator = ",\n";
    return BUFFER_BYTES - file->n < EVENT_BYTES ? flush(file) : TREAD_OK;
}

static tread_status write_names(trace_file *file) {
    char text[EVENT_BYTES / 2];
    const int process = (int)getpid();
    snprintf(text, sizeof text, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"args\":{\"name\":\"tread\"}}",
             process);
    TREAD_TRY(write_text(file, text));
    for (int lane = 0; lane < tread_recorder_lanes(file->own->recorder); lane++) {
        snprintf(text, sizeof text,
                 "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"thread %d%s\"}},\n"
                 "{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"args\":{\"sort_index\":%d}}",
                 process, lane, lane, lane == 0 ? " (main)" : "", process, lane, lane);
        TREAD_TRY(write_text(file, text));
    }
    return TREAD_OK;
}

static tread_status write_event(trace_file *file, const tread_time_span_row *rows, int lane,
                                const tread_time_span_event *event) {
    char text[EVENT_BYTES - 16];
    int n = snprintf(
        text, sizeof text, "{\"name\":%s,\"cat\":\"%s\",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":%d,\"tid\":%d",
        file->names[event->row], event->is_piece ? "region" : category(&rows[event->row]),
        (double)(event->begin - file->origin) * 1e-3, (double)(event->end - event->begin) * 1e-3, (int)getpid(), lane);
    if (event->flops > 0 || event->bytes > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, ",\"args\":{\"flops\":%.0f,\"bytes\":%.0f}", event->flops,
                      event->bytes);
    snprintf(text + n, sizeof text - (size_t)n, "}");
    return write_text(file, text);
}

static tread_status write_all(trace_file *file) {
    size_t n_rows;
    const tread_train_profile *shown = &file->own->shown;
    const tread_time_span_row *rows = tread_recorder_rows(file->own->recorder, &n_rows);
    for (size_t i = 0; i < n_rows; i++)
        name_row(file, &rows[i], file->own->part_of_row[i], file->names[i]);
    char head[EVENT_BYTES / 2];
    snprintf(head, sizeof head,
             "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"steps\":%lld,\"threads\":%d,\"dropped_events\":%llu},\n"
             "\"traceEvents\":[\n",
             (long long)shown->n_steps, shown->threads, (unsigned long long)shown->n_trace_dropped);
    file->separator = "";
    TREAD_TRY(write_text(file, head));
    file->separator = "";
    TREAD_TRY(write_names(file));
    for (int lane = 0; lane < tread_recorder_lanes(file->own->recorder); lane++) {
        const tread_time_span_lane events = tread_recorder_lane(file->own->recorder, lane);
        for (size_t i = 0; i < events.n; i++)
            TREAD_TRY(write_event(file, rows, lane, &events.events[i]));
    }
    file->separator = "";
    TREAD_TRY(write_text(file, "\n]}\n"));
    return flush(file);
}

/* The earliest time of all. */
static uint64_t origin_of(const tread_recorder *recorder) {
    uint64_t origin = UINT64_MAX;
    for (int lane = 0; lane < tread_recorder_lanes(recorder); lane++) {
        const tread_time_span_lane events = tread_recorder_lane(recorder, lane);
        for (size_t i = 0; i < events.n; i++)
            origin = events.events[i].begin < origin ? events.events[i].begin : origin;
    }
    return origin;
}

tread_status tread_train_profile_write_trace(const tread_train_profile *profile, const char *path) {
    TREAD_REFUSE_NULL("train profile", profile);
    TREAD_REFUSE_NULL("train profile: path", path);
    const tread_train_profile_private *own = profile->own;
    if (own->options.trace_events == 0)
        return tread_fail(TREAD_ERROR_STATE, "train profile: no trace was asked for: set options.trace_events");
    trace_file file = {.own = own, .origin = origin_of(own->recorder)};
    file.buffer = tread_alloc(BUFFER_BYTES, "buffer of a trace");
    file.names = tread_alloc((TREAD_RECORDER_ROWS + 1) * sizeof *file.names, "names in a trace");
    tread_status status =
        file.buffer != NULL && file.names != NULL ? tread_file_begin(&file.writer, path, 0) : TREAD_ERROR_MEMORY;
    if (status == TREAD_OK) {
        status = write_all(&file);
        if (status == TREAD_OK)
            status = tread_file_commit(&file.writer);
        else
            tread_file_abort(&file.writer);
    }
    tread_free(file.buffer);
    tread_free(file.names);
    return status;
}
