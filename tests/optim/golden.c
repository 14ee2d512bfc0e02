#include "tests/optim/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

typedef struct reader {
    const unsigned char *bytes;
    size_t n, at;
    unsigned char *values; /* all numbers of the file, aligned; never more than its bytes */
    size_t values_at;
    const char *error; /* the first */
} reader;

static void fail(reader *r, const char *error) {
    if (r->error == NULL)
        r->error = error;
}

static void take(reader *r, void *ret, size_t n) {
    if (r->error == NULL && n > r->n - r->at)
        fail(r, "the file is cut short");
    if (r->error != NULL) {
        memset(ret, 0, n);
        return;
    }
    memcpy(ret, r->bytes + r->at, n);
    r->at += n;
}

/* The file and the machines that Tread runs on are little-endian. */
static uint32_t whole(reader *r, uint32_t least, uint32_t most, const char *error) {
    uint32_t value;
    take(r, &value, sizeof value);
    if (r->error == NULL && (value < least || value > most))
        fail(r, error);
    return r->error == NULL ? value : least;
}

static const void *numbers(reader *r, size_t count, size_t size) {
    if (r->error == NULL && count * size > r->n - r->at)
        fail(r, "the file is cut short");
    if (r->error != NULL)
        return NULL;
    r->values_at = (r->values_at + size - 1) / size * size;
    void *values = r->values + r->values_at;
    take(r, values, count * size);
    r->values_at += count * size;
    return values;
}

static void read_parameter(reader *r, const golden_setting *s, golden_parameter *p) {
    p->group = whole(r, 0, s->n_groups - 1, "a parameter is of a group that is not there");
    p->rank = whole(r, 1, 2, "a parameter's rank is not 1 or 2");
    p->n = 1;
    for (uint32_t d = 0; d < p->rank; d++)
        p->n *= p->shape[d] = whole(r, 1, 1 << 14, "a parameter's size is out of range");
}

static void read_snapshot(reader *r, const golden_setting *s, golden_snapshot *snapshot) {
    snapshot->step = whole(r, 1, s->n_steps, "a snapshot is of a step that is not there");
    snapshot->evaluation = whole(r, 0, 1, "a snapshot's mode is not 0 or 1");
    for (uint32_t p = 0; p < s->n_parameters; p++) {
        golden_values *values = &snapshot->parameters[p];
        size_t n = (size_t)s->parameters[p].n;
        values->of_norm = whole(r, 0, 1, "a bound's kind is not 0 or 1");
        values->value = numbers(r, n, sizeof(double));
        values->bound = numbers(r, values->of_norm ? 1 : n, sizeof(float));
    }
}

static void read_setting(reader *r, golden_setting *s) {
    s->n_groups = whole(r, 1, GOLDEN_MAX_GROUPS, "the count of groups is out of range");
    for (uint32_t g = 0; g < s->n_groups; g++)
        take(r, s->specs[g], whole(r, 0, sizeof s->specs[g] - 1, "a spec is too long"));
    s->n_parameters = whole(r, 1, GOLDEN_MAX_PARAMETERS, "the count of parameters is out of range");
    for (uint32_t p = 0; p < s->n_parameters; p++) {
        read_parameter(r, s, &s->parameters[p]);
        if (p > 0 && s->parameters[p].group < s->parameters[p - 1].group)
            fail(r, "parameters are not in the order of their groups");
    }
    s->n_steps = whole(r, 1, GOLDEN_MAX_STEPS, "the count of steps is out of range");
    for (uint32_t t = 0; t < s->n_steps; t++)
        take(r, s->lr[t], s->n_groups * sizeof(double));
    for (uint32_t t = 0; t < s->n_steps; t++) {
        take(r, s->gradient[t], s->n_parameters);
        for (uint32_t p = 0; p < s->n_parameters; p++)
            if (s->gradient[t][p] > GOLDEN_ZEROS)
                fail(r, "a gradient is of no known kind");
    }
    s->n_snapshots = whole(r, 1, GOLDEN_MAX_SNAPSHOTS, "the count of snapshots is out of range");
    for (uint32_t i = 0; i < s->n_snapshots; i++)
        read_snapshot(r, s, &s->snapshots[i]);
}

const char *golden_parse(const void *bytes, size_t n, golden *ret_golden) {
    /* Aligning an array costs less than the counts that stand before it. */
    reader r = {.bytes = bytes, .n = n, .values = malloc(n + 16)};
    golden g = {.values = r.values};
    char magic[8];
    take(&r, magic, sizeof magic);
    if (memcmp(magic, "TREADGLD", sizeof magic) != 0)
        fail(&r, "it is no golden file");
    whole(&r, VERSION, VERSION, "it is of another version");
    g.n_settings = whole(&r, 1, 1000, "the count of settings is out of range");
    g.settings = calloc(g.n_settings, sizeof *g.settings);
    for (uint32_t i = 0; i < g.n_settings && r.error == NULL; i++)
        read_setting(&r, &g.settings[i]);
    if (r.error == NULL && r.at != n)
        fail(&r, "something stands after the last setting");
    *ret_golden = (golden){0};
    if (r.error == NULL)
        *ret_golden = g;
    else
        golden_free(&g);
    return r.error;
}

void *golden_load(const char *name, size_t *ret_n) {
    const char *folder = getenv("TREAD_GOLDEN");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.golden", folder != NULL ? folder : "tests/golden", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    long n = ftell(file);
    rewind(file);
    void *bytes = malloc(n > 0 ? (size_t)n : 1);
    *ret_n = fread(bytes, 1, (size_t)n, file);
    fclose(file);
    return bytes;
}

void golden_free(golden *g) {
    free(g->settings);
    free(g->values);
}
