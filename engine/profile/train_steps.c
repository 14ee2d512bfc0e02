#include <math.h>

#include "core/recorder.h"
#include "core/status.h"
#include "engine/profile/bandwidth.h"
#include "engine/profile/train_profile.h"

#define LOOK_EVERY 16 /* stretches between two looks at what else goes on, which take a millisecond each */

bool tread_profile_stretch_is_recorded(int64_t stretch) { return stretch % 4 == 1 || stretch % 4 == 2; }

int64_t tread_profile_stretch_steps(int64_t steps) {
    const int64_t quarter = steps / 4;
    return quarter < 1 ? 1 : quarter > TREAD_PROFILE_STRETCH ? TREAD_PROFILE_STRETCH : quarter;
}

static tread_context *context_of(const tread_train_profile_private *own) { return own->trainer->context; }

static bool is_done(const tread_train_profile_private *own) {
    return own->n_done[0] >= own->options.steps && own->n_done[1] >= own->options.steps;
}

void tread_train_profile_report(tread_train_profile_private *own) {
    const tread_profile_train_options *o = &own->options;
    const tread_profile_train_progress progress = {.steps = own->warmed_up + own->n_done[0] + own->n_done[1],
                                                   .all_steps = o->warmup + 2 * o->steps,
                                                   .seconds = tread_clock_seconds() - own->call_began};
    if (o->progress != NULL && !o->progress(o->progress_data, &progress))
        tread_trainer_request_stop(own->trainer);
}

/* Goes on to the next stretch that still has steps to do. */
static void next_stretch(tread_train_profile_private *own) {
    do
        own->stretch++;
    while (own->n_done[tread_profile_stretch_is_recorded(own->stretch)] >= own->options.steps);
    tread_train_profile_report(own);
    const bool recorded = tread_profile_stretch_is_recorded(own->stretch);
    const int64_t most = tread_profile_stretch_steps(own->options.steps);
    const int64_t left = own->options.steps - own->n_done[recorded];
    own->left = left < most ? left : most;
    own->settling = most > 1;
    own->events |= own->settling ? 0 : TREAD_STEP_FIRST_OF_STRETCH;
    if (own->stretch % LOOK_EVERY == 0)
        tread_noise_look(own->watch);
    tread_counters_switch(own->counting, !recorded);
}

static bool is_warm(const tread_train_profile_private *own) { return own->warmed_up >= own->options.warmup; }

static tread_action on_step_begin(void *data, tread_trainer *trainer, const tread_step_info *info) {
    tread_train_profile_private *own = data;
    (void)trainer;
    if (!is_warm(own)) {
        if (own->warmed_up > 0)
            tread_train_profile_report(own);
        return TREAD_CONTINUE;
    }
    if (own->left == 0)
        next_stretch(own);
    const bool recorded = tread_profile_stretch_is_recorded(own->stretch) && !own->settling;
    tread_context_record(context_of(own), recorded ? own->recorder : NULL);
    own->events |= info->step_in_epoch == 0 ? TREAD_STEP_FIRST_OF_EPOCH : 0;
    tread_recorder_abandon(own->recorder); /* a step that was skipped has no end */
    getrusage(RUSAGE_SELF, &own->usage);
    own->began = tread_clock_seconds();
    own->span =
        tread_time_span_within(context_of(own), &(tread_time_span_key){.name = "step", .phase = TREAD_TRACE_OTHER});
    return TREAD_CONTINUE;
}

static tread_action on_step(void *data, tread_trainer *trainer, const tread_step_info *info) {
    tread_train_profile_private *own = data;
    (void)trainer;
    if (!is_warm(own)) {
        own->warmed_up++;
        own->events = 0;
        return TREAD_CONTINUE;
    }
    tread_time_span_end(context_of(own), own->span, (tread_cost){0});
    const double seconds = tread_clock_seconds() - own->began;
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    const bool recorded = tread_profile_stretch_is_recorded(own->stretch);
    own->n_counted += !recorded;
    if (own->settling) {
        own->settling = false;
        own->events = 0;
        return TREAD_CONTINUE;
    }
    tread_profile_step step = {.step = info->step - 1,
                               .seconds = seconds,
                               .samples = info->samples,
                               .events = own->events,
                               .switches = now.ru_nivcsw - own->usage.ru_nivcsw,
                               .faults = now.ru_minflt + now.ru_majflt - own->usage.ru_minflt - own->usage.ru_majflt,
                               .recorded = recorded};
    step.events |= step.samples < own->shown.batch_samples ? TREAD_STEP_SMALLER_BATCH : 0;
    step.events |= step.switches > 0 ? TREAD_STEP_LOST_CPU : 0;
    step.events |= step.faults > 0 ? TREAD_STEP_PAGE_FAULTS : 0;
    own->steps[own->shown.n_all_steps++] = step;
    own->n_done[recorded]++;
    own->left--;
    own->events = 0;
    return is_done(own) ? TREAD_STOP : TREAD_CONTINUE;
}

static tread_action on_evaluation_begin(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    tread_train_profile_private *own = data;
    (void)trainer;
    (void)evaluation;
    own->evaluation = tread_time_span_within(context_of(own),
                                             &(tread_time_span_key){.name = "evaluation", .phase = TREAD_TRACE_OTHER});
    return TREAD_CONTINUE;
}

static tread_action on_evaluation(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    tread_train_profile_private *own = data;
    (void)trainer;
    (void)evaluation;
    tread_time_span_end(context_of(own), own->evaluation, (tread_cost){0});
    own->events |= TREAD_STEP_AFTER_EVALUATION;
    return TREAD_CONTINUE;
}

/* The run ends when there are steps enough, and leaves nothing behind. */
static void take_limits_off(tread_trainer_options *options) {
    options->epochs = INT64_MAX;
    options->max_steps = 0;
    options->max_seconds = 0;
    options->target = NAN;
    options->patience = -1;
    options->restore_best = false;
    options->checkpoints = NULL;
}

tread_status tread_train_profile_run(tread_train_profile_private *own) {
    tread_trainer *trainer = own->trainer;
    const tread_trainer_options before = trainer->options;
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = own;
    callbacks.on_step_begin = on_step_begin;
    callbacks.on_step = on_step;
    callbacks.on_evaluation_begin = on_evaluation_begin;
    callbacks.on_evaluation = on_evaluation;
    TREAD_TRY(tread_trainer_add_callbacks(trainer, &callbacks));
    take_limits_off(&trainer->options);
    tread_recorder *recorder_before = tread_context_record(context_of(own), NULL);
    tread_status status = tread_trainer_run(trainer);
    tread_context_record(context_of(own), recorder_before);
    tread_counters_switch(own->counting, false);
    tread_recorder_abandon(own->recorder);
    trainer->options = before;
    trainer->n_callbacks--; /* the last ones are these */
    return status;
}
