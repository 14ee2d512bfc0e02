#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tread/version.h>
#include <unistd.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/recorder.h"
#include "core/status.h"

typedef struct trace_cell {
    atomic_uint_fast64_t calls, total, longest;
} trace_cell;

typedef struct trace_row {
    _Atomic(const char *) name; /* NULL: free */
    trace_cell cells[TREAD_TRACE_PHASES];
} trace_row;

struct tread_trace {
    int file;
    char *file_name;
    pid_t process;
    uint64_t begun;
    trace_row rows[TREAD_TRACE_NAMES + 1]; /* the last one takes what finds no place */
};

uint64_t tread_trace_start(const tread_context *context) {
    return tread_context_resolve(context)->trace == NULL ? 0 : tread_recorder_clock();
}

void tread_trace_stop(const tread_context *context, uint64_t start, const char *name, tread_trace_phase phase) {
    if (start != 0)
        tread_trace_add(tread_context_resolve(context)->trace, name, phase, tread_recorder_clock() - start);
}

tread_status tread_trace_create(const char *file, tread_trace **ret_trace) {
    tread_trace *trace = tread_calloc(1, sizeof *trace, "the time table");
    char *name = trace != NULL ? tread_strdup(file) : NULL;
    if (name == NULL) {
        tread_free(trace);
        return TREAD_ERROR_MEMORY;
    }
    trace->file_name = name;
    trace->file = strcmp(file, "-") == 0 ? STDERR_FILENO : open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (trace->file < 0) {
        tread_status status = tread_fail(TREAD_ERROR_IO, "trace: cannot open %s: %s", file, strerrordesc_np(errno));
        tread_trace_destroy(trace);
        return status;
    }
    trace->process = getpid();
    trace->begun = tread_recorder_clock();
    *ret_trace = trace;
    return TREAD_OK;
}

void tread_trace_destroy(tread_trace *trace) {
    if (trace == NULL)
        return;
    if (trace->file > STDERR_FILENO)
        close(trace->file);
    tread_free(trace->file_name);
    tread_free(trace);
}

static trace_row *find_row(tread_trace *trace, const char *name) {
    size_t first = (size_t)((uintptr_t)name * UINT64_C(0x9E3779B97F4A7C15) >> 32) % TREAD_TRACE_NAMES;
    for (size_t i = 0; i < TREAD_TRACE_NAMES; i++) {
        trace_row *row = &trace->rows[(first + i) % TREAD_TRACE_NAMES];
        const char *there = atomic_load_explicit(&row->name, memory_order_relaxed);
        if (there == name || (there == NULL && atomic_compare_exchange_strong(&row->name, &there, name)) ||
            there == name)
            return row;
    }
    trace_row *others = &trace->rows[TREAD_TRACE_NAMES];
    atomic_store_explicit(&others->name, "(others)", memory_order_relaxed);
    return others;
}

void tread_trace_add(tread_trace *trace, const char *name, tread_trace_phase phase, uint64_t ns) {
    trace_cell *cell = &find_row(trace, name)->cells[phase];
    atomic_fetch_add_explicit(&cell->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->total, ns, memory_order_relaxed);
    uint64_t longest = atomic_load_explicit(&cell->longest, memory_order_relaxed);
    while (ns > longest && !atomic_compare_exchange_weak_explicit(&cell->longest, &longest, ns, memory_order_relaxed,
                                                                  memory_order_relaxed)) {
    }
}

typedef struct trace_line {
    const char *name;
    int phase;
    uint64_t calls, total, longest;
} trace_line;

static int compare_lines(const void *a, const void *b) {
    const trace_line *x = a, *y = b;
    if (x->total != y->total)
        return x->total < y->total ? 1 : -1;
    int names = strcmp(x->name, y->name);
    return names != 0 ? names : x->phase - y->phase;
}

/* One line per (name, phase) that was called, equal names from different addresses merged; returns how many. */
static size_t collect(const tread_trace *trace, trace_line *lines) {
    size_t n = 0;
    for (size_t i = 0; i <= TREAD_TRACE_NAMES; i++) {
        const trace_row *row = &trace->rows[i];
        const char *name = atomic_load_explicit(&row->name, memory_order_relaxed);
        for (int phase = 0; name != NULL && phase < TREAD_TRACE_PHASES; phase++) {
            trace_line new = {name, phase, atomic_load_explicit(&row->cells[phase].calls, memory_order_relaxed),
                              atomic_load_explicit(&row->cells[phase].total, memory_order_relaxed),
                              atomic_load_explicit(&row->cells[phase].longest, memory_order_relaxed)};
            if (new.calls == 0)
                continue;
            size_t at = 0;
            while (at < n && (lines[at].phase != phase || strcmp(lines[at].name, name) != 0))
                at++;
            if (at == n) {
                lines[n++] = new;
                continue;
            }
            lines[at].calls += new.calls;
            lines[at].total += new.total;
            lines[at].longest = new.longest > lines[at].longest ? new.longest : lines[at].longest;
        }
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    return n;
}

tread_status tread_trace_write(const tread_trace *trace, const char *title) {
    static const char *const phases[TREAD_TRACE_PHASES] = {"forward", "backward", "plan", "other"};
    trace_line lines[(TREAD_TRACE_NAMES + 1) * TREAD_TRACE_PHASES];
    size_t n = trace->process == getpid() ? collect(trace, lines) : 0;
    if (n == 0)
        return TREAD_OK;
    double sum = 0, elapsed = (double)(tread_recorder_clock() - trace->begun);
    int width = 9;
    for (size_t i = 0; i < n; i++) {
        sum += (double)lines[i].total;
        int length = (int)strlen(lines[i].name);
        width = length > width ? length : width;
    }
    char date[32] = "";
    time_t seconds = time(NULL);
    struct tm local;
    if (localtime_r(&seconds, &local) != NULL)
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &local);
    int written = dprintf(trace->file,
                          "tread %s, %s, process %d: %.3f s, of which %.3f s (%.1f %%) in operations; %s\n"
                          "%-*s  %-8s %10s %12s %11s %11s %7s\n",
                          tread_version(), date, (int)trace->process, elapsed * 1e-9, sum * 1e-9,
                          elapsed > 0 ? 100 * sum / elapsed : 0, title, width, "operation", "phase", "calls",
                          "total ms", "mean us", "max us", "share");
    for (size_t i = 0; i < n && written >= 0; i++)
        written = dprintf(trace->file, "%-*s  %-8s %10llu %12.3f %11.3f %11.3f %5.1f %%\n", width, lines[i].name,
                          phases[lines[i].phase], (unsigned long long)lines[i].calls, (double)lines[i].total * 1e-6,
                          (double)lines[i].total * 1e-3 / (double)lines[i].calls, (double)lines[i].longest * 1e-3,
                          sum > 0 ? 100 * (double)lines[i].total / sum : 0);
    if (written < 0)
        return tread_fail(TREAD_ERROR_IO, "trace: cannot write %s: %s", trace->file_name, strerrordesc_np(errno));
    return TREAD_OK;
}
