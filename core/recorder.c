#include "core/recorder.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/status.h"

#define N_BUCKETS (4 * TREAD_RECORDER_ROWS)

/* Each thread writes its own; apart by a cache line. */
typedef struct lane {
    _Alignas(TREAD_ALIGNMENT) tread_time_span_event *events;
    size_t n;
    uint64_t dropped;
    uint64_t busy; /* ns of the last piece; 0: none since the last join */
} lane;

typedef struct open_span {
    int32_t row;
    uint64_t begin;
} open_span;

struct tread_recorder {
    pthread_t owner;
    int32_t n_rows;
    int32_t n_open;
    open_span open[TREAD_RECORDER_DEPTH];
    tread_time_span_row rows[TREAD_RECORDER_ROWS + 1]; /* the last one takes what finds no place */
    int32_t buckets[N_BUCKETS];                        /* index of a row plus one; 0: free */
    size_t capacity;
    int n_lanes;
    lane *lanes;
};

uint64_t tread_recorder_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

double tread_clock_seconds(void) { return 1e-9 * (double)tread_recorder_clock(); }

/* All events are touched here: a page fault in the middle of a measurement would be part of it. */
tread_status tread_recorder_create(int n_lanes, size_t events_per_lane, tread_recorder **ret_recorder) {
    tread_recorder *recorder = tread_calloc(1, sizeof *recorder, "recorder");
    if (recorder == NULL)
        return TREAD_ERROR_MEMORY;
    recorder->owner = pthread_self();
    recorder->capacity = events_per_lane;
    recorder->lanes = tread_calloc((size_t)n_lanes, sizeof *recorder->lanes, "lanes of a recorder");
    recorder->n_lanes = recorder->lanes != NULL ? n_lanes : 0;
    for (int i = 0; i < recorder->n_lanes; i++) {
        tread_time_span_event *events = tread_alloc(events_per_lane * sizeof *events, "events of a recorder");
        if (events == NULL) {
            tread_recorder_destroy(recorder);
            return TREAD_ERROR_MEMORY;
        }
        memset(events, 0, events_per_lane * sizeof *events);
        recorder->lanes[i].events = events;
    }
    if (recorder->lanes == NULL) {
        tread_recorder_destroy(recorder);
        return TREAD_ERROR_MEMORY;
    }
    *ret_recorder = recorder;
    return TREAD_OK;
}

void tread_recorder_destroy(tread_recorder *recorder) {
    if (recorder == NULL)
        return;
    for (int i = 0; i < recorder->n_lanes; i++)
        tread_free(recorder->lanes[i].events);
    tread_free(recorder->lanes);
    tread_free(recorder);
}

tread_recorder *tread_context_record(tread_context *context, tread_recorder *recorder) {
    tread_context *own = (tread_context *)tread_context_resolve(context); /* the process's is const in name only */
    return atomic_exchange(&own->recorder, recorder);
}

void tread_recorder_abandon(tread_recorder *recorder) { recorder->n_open = 0; }

const tread_time_span_row *tread_recorder_rows(const tread_recorder *recorder, size_t *ret_n) {
    *ret_n = (size_t)recorder->n_rows;
    return recorder->rows;
}

int tread_recorder_lanes(const tread_recorder *recorder) { return recorder->n_lanes; }

tread_time_span_lane tread_recorder_lane(const tread_recorder *recorder, int index) {
    const lane *own = &recorder->lanes[index];
    return (tread_time_span_lane){own->events, own->n, own->dropped};
}

static tread_recorder *recorder_here(const tread_context *context) {
    tread_recorder *recorder = atomic_load_explicit(&tread_context_resolve(context)->recorder, memory_order_relaxed);
    return recorder != NULL && pthread_equal(recorder->owner, pthread_self()) ? recorder : NULL;
}

static bool same_key(const tread_time_span_key *a, const tread_time_span_key *b) {
    return a->name == b->name && a->phase == b->phase && a->part == b->part && a->subject == b->subject &&
           a->place == b->place && a->bf16 == b->bf16 && memcmp(a->extents, b->extents, sizeof a->extents) == 0;
}

static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15); }

static size_t hash_key(const tread_time_span_key *key, int32_t parent) {
    uint64_t hash = mix((uint64_t)parent + 1, (uintptr_t)key->name);
    hash = mix(hash ^ hash >> 29, (uintptr_t)key->part ^ (uintptr_t)key->subject << 1);
    hash = mix(hash ^ hash >> 29, (uint64_t)key->place << 3 ^ (uint64_t)key->phase);
    for (int i = 0; i < 3; i++)
        hash = mix(hash ^ hash >> 29, (uint64_t)key->extents[i]);
    return (size_t)(hash >> 32) % N_BUCKETS;
}

/* What finds no place is counted together, as a child of whatever came first. */
static int32_t add_row(tread_recorder *recorder, const tread_time_span_key *key, int32_t parent, int32_t depth) {
    if (recorder->n_rows >= TREAD_RECORDER_ROWS) {
        tread_time_span_row *others = &recorder->rows[TREAD_RECORDER_ROWS];
        if (recorder->n_rows == TREAD_RECORDER_ROWS) {
            *others = (tread_time_span_row){
                .key = {.name = "(others)", .phase = TREAD_TRACE_OTHER}, .parent = parent, .depth = depth};
            recorder->n_rows++;
        }
        return TREAD_RECORDER_ROWS;
    }
    recorder->rows[recorder->n_rows] = (tread_time_span_row){.key = *key, .parent = parent, .depth = depth};
    return recorder->n_rows++;
}

static int32_t find_row(tread_recorder *recorder, const tread_time_span_key *key, int32_t parent, int32_t depth) {
    size_t at = hash_key(key, parent);
    while (recorder->buckets[at] != 0) { /* never full: four times as many as rows */
        int32_t row = recorder->buckets[at] - 1;
        if (recorder->rows[row].parent == parent && same_key(&recorder->rows[row].key, key))
            return row;
        at = (at + 1) % N_BUCKETS;
    }
    int32_t row = add_row(recorder, key, parent, depth);
    if (row < TREAD_RECORDER_ROWS)
        recorder->buckets[at] = row + 1;
    return row;
}

void tread_time_span_start_within(const tread_context *context, const tread_time_span_key *key,
                                  tread_time_span *ret_span) {
    tread_recorder *recorder = recorder_here(context);
    *ret_span = (tread_time_span){.name = key->name, .phase = key->phase, .level = -1, .within = true};
    if (recorder == NULL || recorder->n_open >= TREAD_RECORDER_DEPTH)
        return;
    const int32_t level = recorder->n_open++;
    open_span *open = &recorder->open[level];
    open->row = find_row(recorder, key, level > 0 ? open[-1].row : -1, level);
    ret_span->level = level;
    open->begin = ret_span->begin = tread_recorder_clock();
}

void tread_time_span_start(const tread_context *context, const tread_time_span_key *key, tread_time_span *ret_span) {
    tread_time_span_start_within(context, key, ret_span);
    ret_span->within = false;
    if (ret_span->begin == 0)
        ret_span->begin = tread_trace_start(context);
}

static void add_event(lane *own, size_t capacity, tread_time_span_event event) {
    if (own->n < capacity)
        own->events[own->n++] = event;
    else
        own->dropped++;
}

void tread_time_span_stop(const tread_context *context, tread_time_span span, tread_cost cost) {
    const uint64_t now = tread_recorder_clock(), ns = now - span.begin;
    tread_trace *trace = tread_context_resolve(context)->trace;
    if (trace != NULL && !span.within)
        tread_trace_add(trace, span.name, span.phase, ns);
    tread_recorder *recorder = span.level >= 0 ? recorder_here(context) : NULL;
    if (recorder == NULL || span.level >= recorder->n_open || recorder->open[span.level].begin != span.begin)
        return;
    recorder->n_open = span.level;
    const int32_t index = recorder->open[span.level].row;
    tread_time_span_row *row = &recorder->rows[index];
    row->calls++;
    row->ns += ns;
    row->longest = ns > row->longest ? ns : row->longest;
    row->cost.flops += cost.flops;
    row->cost.bytes += cost.bytes;
    if (span.level > 0) {
        tread_time_span_row *parent = &recorder->rows[recorder->open[span.level - 1].row];
        parent->inner_ns += ns;
        parent->inner_cost.flops += cost.flops;
        parent->inner_cost.bytes += cost.bytes;
    }
    add_event(&recorder->lanes[0], recorder->capacity,
              (tread_time_span_event){span.begin, now, cost.flops, cost.bytes, index, false});
}

tread_recorder *tread_recorder_open(const tread_context *context) {
    tread_recorder *recorder = recorder_here(context);
    return recorder != NULL && recorder->n_open > 0 ? recorder : NULL;
}

void tread_recorder_piece(tread_recorder *recorder, int index, uint64_t begin) {
    if (index >= recorder->n_lanes)
        return;
    const uint64_t end = tread_recorder_clock();
    lane *own = &recorder->lanes[index];
    own->busy = end - begin;
    add_event(own, recorder->capacity,
              (tread_time_span_event){
                  .begin = begin, .end = end, .row = recorder->open[recorder->n_open - 1].row, .is_piece = true});
}

void tread_recorder_join(tread_recorder *recorder, int n_threads, uint64_t fork) {
    tread_time_span_row *row = &recorder->rows[recorder->open[recorder->n_open - 1].row];
    row->regions++;
    row->region_ns += tread_recorder_clock() - fork;
    for (int i = 0; i < n_threads && i < recorder->n_lanes; i++) {
        row->busy_ns += recorder->lanes[i].busy;
        recorder->lanes[i].busy = 0;
    }
}
