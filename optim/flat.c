#include "optim/flat.h"

#include <string.h>

#include "core/isa.h"
#include "core/lanes.h"
#include "optim/vector.h"

#define FORK 32768 /* floats that are worth a second thread */

/* ---- Kernels over one chunk ---- */

TREAD_KERNEL_BODY void TREAD_BODY(dot)(const float *from_a, const float *from_b, int64_t n, double *ret_sum) {
    const float *restrict a = from_a, *restrict b = from_b;
    TREAD_LANE_SUM(*ret_sum, n, i, (double)a[i] * (double)b[i]);
}
TREAD_KERNEL(dot, (const float *a, const float *b, int64_t n, double *ret_sum), (a, b, n, ret_sum))

TREAD_KERNEL_BODY void TREAD_BODY(scale)(float *to, float by, const float *from, int64_t n) {
    float *restrict x = to;
    const float *restrict a = from;
    for (int64_t i = 0; i < n; i++)
        x[i] = by * a[i];
}
TREAD_KERNEL(scale, (float *to, float by, const float *from, int64_t n), (to, by, from, n))

TREAD_KERNEL_BODY void TREAD_BODY(subtract)(float *to, const float *from_a, const float *from_b, int64_t n) {
    float *restrict x = to;
    const float *restrict a = from_a, *restrict b = from_b;
    for (int64_t i = 0; i < n; i++)
        x[i] = a[i] - b[i];
}
TREAD_KERNEL(subtract, (float *to, const float *a, const float *b, int64_t n), (to, a, b, n))

TREAD_KERNEL_BODY void TREAD_BODY(add)(float *to, float by, const float *from, int64_t n) {
    float *restrict x = to;
    const float *restrict a = from;
    for (int64_t i = 0; i < n; i++)
        x[i] += by * a[i];
}
TREAD_KERNEL(add, (float *to, float by, const float *from, int64_t n), (to, by, from, n))

TREAD_KERNEL_BODY void TREAD_BODY(along)(float *to, const float *from, float t, const float *direction, int64_t n) {
    float *restrict x = to;
    const float *restrict a = from, *restrict d = direction;
    for (int64_t i = 0; i < n; i++)
        x[i] = a[i] + t * d[i];
}
TREAD_KERNEL(along, (float *to, const float *from, float t, const float *d, int64_t n), (to, from, t, d, n))

/* ---- One pass over all chunks of vectors ---- */

typedef enum work { DOT, SUM_ABSOLUTE, LARGEST, SCALE, MULTIPLY, SUBTRACT, ADD_DOT } work;

typedef struct pass {
    tread_flat *flat;
    work work;
    float *to;
    const float *a, *b;
    float by;
} pass;

#define BLOCK 1024 /* floats that are added and then multiplied while they are near */

/* Adding and the dot product in blocks: a block is a multiple of the lanes, so the sum of a chunk is a function of the
 * chunk alone. */
static void add_dot(const pass *p, int64_t at, int64_t n, double *ret_sum) {
    double sum = 0, part;
    for (int64_t end = at + n; at < end; at += BLOCK) {
        int64_t length = end - at < BLOCK ? end - at : BLOCK;
        TREAD_CALL(add)(p->to + at, p->by, p->a + at, length);
        TREAD_CALL(dot)(p->to + at, p->b + at, length, &part);
        sum += part;
    }
    *ret_sum = sum;
}

static void run_chunks(void *argument, int64_t begin, int64_t end) {
    const pass *p = argument;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        int64_t size = tread_chunk_size(p->flat->n), at = chunk * size;
        int64_t n = p->flat->n - at < size ? p->flat->n - at : size;
        double *partial = &p->flat->partial[chunk], lanes[TREAD_LANES] = {0}, smallest;
        switch (p->work) {
        case DOT: TREAD_CALL(dot)(p->a + at, p->b + at, n, partial); break;
        case SUM_ABSOLUTE:
            tread_vector_add_absolute(p->a + at, n, lanes);
            *partial = tread_lanes_fold(lanes);
            break;
        case LARGEST: tread_vector_extremes(p->a + at, n, partial, &smallest); break;
        case SCALE: TREAD_CALL(scale)(p->to + at, p->by, p->a + at, n); break;
        case MULTIPLY: tread_vector_scale(p->to + at, n, p->by); break;
        case SUBTRACT: TREAD_CALL(subtract)(p->to + at, p->a + at, p->b + at, n); break;
        case ADD_DOT: add_dot(p, at, n, partial); break;
        }
    }
}

static void run(pass p) {
    int64_t n_chunks = tread_chunk_count(p.flat->n);
    tread_parallel_for(p.flat->context, n_chunks, p.flat->n < FORK ? n_chunks : 1, 1, run_chunks, &p);
}

static double run_sum(pass p) {
    run(p);
    double sum = 0;
    for (int64_t chunk = 0; chunk < tread_chunk_count(p.flat->n); chunk++)
        sum += p.flat->partial[chunk];
    return sum;
}

double tread_flat_dot(tread_flat *flat, const float *a, const float *b) {
    return run_sum((pass){.flat = flat, .work = DOT, .a = a, .b = b});
}
double tread_flat_sum_absolute(tread_flat *flat, const float *a) {
    return run_sum((pass){.flat = flat, .work = SUM_ABSOLUTE, .a = a});
}

double tread_flat_largest(tread_flat *flat, const float *a) {
    run((pass){.flat = flat, .work = LARGEST, .a = a});
    double largest = 0;
    for (int64_t chunk = 0; chunk < tread_chunk_count(flat->n); chunk++)
        if (!(flat->partial[chunk] <= largest)) /* once NaN, it stays */
            largest = largest != largest ? largest : flat->partial[chunk];
    return largest;
}

void tread_flat_scale(tread_flat *flat, float *to, double by, const float *from) {
    run((pass){.flat = flat, .work = SCALE, .to = to, .a = from, .by = (float)by});
}
void tread_flat_multiply(tread_flat *flat, float *x, double by) {
    run((pass){.flat = flat, .work = MULTIPLY, .to = x, .by = (float)by});
}
void tread_flat_subtract(tread_flat *flat, float *to, const float *a, const float *b) {
    run((pass){.flat = flat, .work = SUBTRACT, .to = to, .a = a, .b = b});
}
double tread_flat_add_dot(tread_flat *flat, float *to, double by, const float *from, const float *with) {
    return run_sum((pass){.flat = flat, .work = ADD_DOT, .to = to, .a = from, .b = with, .by = (float)by});
}

/* ---- Between parameters and vectors, one parameter at a time ---- */

typedef struct move {
    float *to;
    const float *from, *d; /* from NULL: zeros */
    float by;
} move;

static void move_range(void *argument, int64_t begin, int64_t end) {
    const move *m = argument;
    const int64_t n = end - begin;
    if (m->from == NULL)
        memset(m->to + begin, 0, (size_t)n * sizeof(float));
    else if (m->d != NULL)
        TREAD_CALL(along)(m->to + begin, m->from + begin, m->by, m->d + begin, n);
    else if (m->by != 1)
        TREAD_CALL(scale)(m->to + begin, m->by, m->from + begin, n);
    else
        memcpy(m->to + begin, m->from + begin, (size_t)n * sizeof(float));
}

static void run_move(const tread_flat *flat, int64_t n, move m) {
    tread_parallel_for(flat->context, n, FORK / 2, TREAD_LINE_FLOATS, move_range, &m);
}

void tread_flat_from_values(const tread_flat *flat, const tread_optimizer *optimizer, float *to) {
    for (size_t i = 0; i < optimizer->n_items; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        run_move(flat, item->n, (move){.to = to + item->offset, .from = item->parameter->tensor.data, .by = 1});
    }
}

void tread_flat_from_gradients(const tread_flat *flat, tread_optimizer *optimizer, float *to) {
    tread_param_group *group = &optimizer->groups[0];
    for (size_t i = 0; i < optimizer->n_items; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        const tread_tensor *x = &item->parameter->tensor;
        const float *g = x->grad_state == TREAD_GRAD_DENSE ? x->grad->data : NULL;
        run_move(flat, item->n, (move){.to = to + item->offset, .from = g, .by = group->clip});
    }
    group->clip = 1;
}

void tread_flat_to_values(const tread_flat *flat, tread_optimizer *optimizer, const float *from, double t,
                          const float *d) {
    for (size_t i = 0; i < optimizer->n_items; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        run_move(flat, item->n,
                 (move){.to = item->parameter->tensor.data,
                        .from = from + item->offset,
                        .d = d != NULL ? d + item->offset : NULL,
                        .by = d != NULL ? (float)t : 1});
    }
    tread_optimizer_touch(optimizer);
}

void tread_flat_pack(const tread_optimizer *optimizer, const float *from, float *to) {
    for (size_t i = 0; i < optimizer->n_items; to += optimizer->items[i++].n)
        memcpy(to, from + optimizer->items[i].offset, (size_t)optimizer->items[i].n * sizeof(float));
}
void tread_flat_unpack(const tread_optimizer *optimizer, const float *from, float *to) {
    for (size_t i = 0; i < optimizer->n_items; from += optimizer->items[i++].n)
        memcpy(to + optimizer->items[i].offset, from, (size_t)optimizer->items[i].n * sizeof(float));
}
