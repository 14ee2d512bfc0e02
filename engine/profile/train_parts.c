#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/profile/train_profile.h"

/* The tree of spans as a list, each parent with what is left of it. */
typedef struct builder {
    tread_train_profile_private *own;
    const tread_time_span_row *rows;
    size_t n_rows;
    double step_seconds;
} builder;

static const char *parameter_name(const tread_trainer *trainer, const void *tensor) {
    for (size_t i = 0; i < trainer->n_parameters; i++)
        if (tread_parameter_tensor(trainer->parameters[i]) == tensor)
            return tread_parameter_name(trainer->parameters[i]);
    return NULL;
}

static bool is_operation(const tread_time_span_key *key) { return key->phase != TREAD_TRACE_OTHER; }

static void describe(const builder *b, const tread_time_span_key *key, tread_profile_part *part) {
    const size_t size = sizeof part->detail;
    const char *name = key->subject != NULL ? parameter_name(b->own->trainer, key->subject) : NULL;
    if (key->extents[0] > 0)
        snprintf(part->detail, size, "%s%s%s%lldx%lldx%lld", key->part != NULL ? key->part : "",
                 key->part != NULL ? " " : "", key->bf16 ? "bf16 " : "", (long long)key->extents[0],
                 (long long)key->extents[1], (long long)key->extents[2]);
    else if (name != NULL)
        snprintf(part->detail, size, "%s", name);
    else if (is_operation(key))
        snprintf(part->detail, size, "#%d", (int)key->place);
    part->phase = key->phase == TREAD_TRACE_FORWARD ? "forward" : key->phase == TREAD_TRACE_BACKWARD ? "backward" : "";
}

/* The least time that so much work takes, by each ceiling. */
static double least_seconds(const tread_train_profile *p, const tread_profile_part *part,
                            tread_profile_ceiling *ret_ceiling) {
    const double calls = part->calls > 0 ? (double)part->calls : 1;
    const double moved = part->bytes / calls;
    const tread_profile_ceiling level = moved <= (double)p->cache_bytes          ? TREAD_CEILING_CACHE
                                        : moved <= (double)p->shared_cache_bytes ? TREAD_CEILING_SHARED_CACHE
                                                                                 : TREAD_CEILING_MEMORY;
    const double rates[] = {[TREAD_CEILING_CACHE] = p->cache_bandwidth,
                            [TREAD_CEILING_SHARED_CACHE] = p->shared_cache_bandwidth,
                            [TREAD_CEILING_MEMORY] = p->memory_bandwidth};
    const double by_arithmetic = part->flops / (part->bf16 ? p->peak_bf16_flops : p->peak_flops);
    const double by_bytes = part->bytes / rates[level];
    *ret_ceiling = TREAD_CEILING_NONE;
    if (!(by_arithmetic > 0) && !(by_bytes > 0))
        return 0;
    *ret_ceiling = by_arithmetic >= by_bytes ? TREAD_CEILING_ARITHMETIC : level;
    return fmax(by_arithmetic, by_bytes);
}

static void finish_part(const builder *b, tread_profile_part *part, double least, tread_profile_ceiling ceiling,
                        double busy_seconds) {
    part->share = part->seconds / b->step_seconds;
    part->flops_per_second = part->flops > 0 ? part->flops / part->seconds : (double)NAN;
    part->bytes_per_second = part->bytes > 0 ? part->bytes / part->seconds : (double)NAN;
    part->ceiling = ceiling;
    part->ceiling_share = least > 0 ? least / part->seconds : (double)NAN;
    part->busy = part->region_seconds > 0 ? busy_seconds / (part->region_seconds * b->own->shown.threads) : (double)NAN;
}

/* What a part and those within it add up to. */
typedef struct sums {
    double flops, bytes, least, region_seconds, busy_seconds;
    int64_t regions;
    double least_by[TREAD_CEILING_COUNT];
} sums;

static void add(sums *all, const sums *one) {
    all->flops += one->flops;
    all->bytes += one->bytes;
    all->least += one->least;
    all->region_seconds += one->region_seconds;
    all->busy_seconds += one->busy_seconds;
    all->regions += one->regions;
    for (int i = 0; i < TREAD_CEILING_COUNT; i++)
        all->least_by[i] += one->least_by[i];
}

static tread_profile_part *new_part(builder *b, int parent, int depth) {
    tread_train_profile *shown = &b->own->shown;
    tread_profile_part *part = &b->own->parts[shown->n_parts++];
    *part = (tread_profile_part){.name = "rest", .phase = "", .depth = depth, .parent = parent};
    return part;
}

/* Work of the row itself, which is flops and bytes. */
static sums finish_leaf(const builder *b, const tread_time_span_row *row, tread_profile_part *part) {
    const double busy = (double)row->busy_ns * 1e-9;
    tread_profile_ceiling ceiling;
    part->regions = row->regions;
    part->region_seconds = (double)row->region_ns * 1e-9;
    const double least = least_seconds(&b->own->shown, part, &ceiling);
    finish_part(b, part, least, ceiling, busy);
    sums s = {part->flops, part->bytes, least, part->region_seconds, busy, part->regions, {0}};
    s.least_by[ceiling] = least;
    return s;
}

static sums build_rest(builder *b, const tread_time_span_row *row, int parent, const sums *inner) {
    tread_profile_part *rest = new_part(b, parent, row->depth + 1);
    rest->is_rest = true;
    rest->calls = row->calls;
    rest->seconds = fmax((double)row->ns - (double)row->inner_ns, 0) * 1e-9;
    rest->longest = NAN;
    rest->flops = fmax(row->cost.flops - inner->flops, 0);
    rest->bytes = fmax(row->cost.bytes - inner->bytes, 0);
    return finish_leaf(b, row, rest);
}

/* Depth is bounded by the recorder's. */
static sums build(builder *b, size_t index, int parent) {
    const tread_time_span_row *row = &b->rows[index];
    const int at = (int)b->own->shown.n_parts;
    tread_profile_part *part = new_part(b, parent, row->depth);
    b->own->part_of_row[index] = at;
    part->name = row->key.name;
    part->calls = row->calls;
    part->seconds = (double)row->ns * 1e-9;
    part->longest = (double)row->longest * 1e-9;
    part->flops = row->cost.flops;
    part->bytes = row->cost.bytes;
    part->bf16 = row->key.bf16;
    describe(b, &row->key, part);
    if (row->depth == 1 && row->key.name == b->own->optimizer)
        part->bytes = b->own->optimizer_bytes * (double)row->calls;
    sums inner = {0};
    for (size_t i = index + 1; i < b->n_rows; i++)
        if (b->rows[i].parent == (int32_t)index) {
            const sums one = build(b, i, at);
            part->has_parts = true;
            add(&inner, &one);
        }
    if (!part->has_parts)
        return finish_leaf(b, row, part);
    const sums rest = build_rest(b, row, at, &inner);
    add(&inner, &rest);
    part->flops = inner.flops;
    part->bytes = inner.bytes;
    part->regions = inner.regions;
    part->region_seconds = inner.region_seconds;
    tread_profile_ceiling ceiling = TREAD_CEILING_NONE;
    for (int i = 1; i < TREAD_CEILING_COUNT; i++)
        if (inner.least_by[i] > inner.least_by[ceiling])
            ceiling = (tread_profile_ceiling)i;
    finish_part(b, part, inner.least, ceiling, inner.busy_seconds);
    return inner;
}

void tread_train_profile_fill_parts(tread_train_profile_private *own) {
    builder b = {.own = own};
    tread_train_profile *shown = &own->shown;
    b.rows = tread_recorder_rows(own->recorder, &b.n_rows);
    for (size_t i = 0; i < b.n_rows; i++)
        own->part_of_row[i] = -1;
    for (size_t i = 0; i < b.n_rows; i++) { /* the step first */
        const tread_time_span_row *row = &b.rows[i];
        if (row->parent >= 0 || strcmp(row->key.name, "step") != 0)
            continue;
        b.step_seconds = (double)row->ns * 1e-9;
        build(&b, i, -1);
    }
    for (size_t i = 0; i < b.n_rows; i++)
        if (b.rows[i].parent < 0 && strcmp(b.rows[i].key.name, "evaluation") == 0)
            shown->evaluation_seconds += (double)b.rows[i].ns * 1e-9;
    shown->parts_lost = b.n_rows > TREAD_RECORDER_ROWS ? (uint64_t)b.rows[TREAD_RECORDER_ROWS].calls : 0;
}
