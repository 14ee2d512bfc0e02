#include "optim/schedule_free.h"

#include "core/isa.h"
#include "optim/scalar.h"

void tread_schedule_free_prepare(const tread_schedule_free_options *o, double correction, tread_progress *progress,
                                 tread_schedule_free_factors *ret_factors) {
    const double t = (double)progress->step, warmup = (double)o->warmup_steps;
    const double rate = o->lr * (t <= warmup ? t / warmup : 1) * correction;
    double *sum = &progress->scalars[0], *largest = &progress->scalars[1];
    if (rate > *largest)
        *largest = rate;
    const double weight = tread_real_power(t, o->r) * tread_real_power(*largest, o->weight_lr_power);
    *sum += weight;
    const double share = *sum > 0 ? weight / *sum : 0;
    *ret_factors = (tread_schedule_free_factors){.share = (float)share,
                                                 .push = (float)(rate * (o->b * (1 - share) - 1)),
                                                 .rate = (float)rate,
                                                 .weight_decay = (float)o->weight_decay,
                                                 .to_average = (float)(1 - 1 / o->b),
                                                 .from_average = (float)(1 - o->b)};
}

/* x = y + (1 - 1 / b) (z - y), and back y = x + (1 - b) (z - x) */
TREAD_KERNEL_BODY void TREAD_BODY(move)(const tread_update *u, float by) {
    float *restrict x = u->x;
    const float *restrict z = u->slots[0];
    for (int64_t i = 0; i < u->n; i++)
        x[i] += by * (z[i] - x[i]);
}
TREAD_KERNEL(move, (const tread_update *u, float by), (u, by))

void tread_schedule_free_set_training(const void *factors, const tread_update *u, bool training) {
    const tread_schedule_free_factors *f = factors;
    TREAD_CALL(move)(u, training ? f->from_average : f->to_average);
}
