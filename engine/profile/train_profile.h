/* Layer: engine. What a profile of training is made of. */
#ifndef TREAD_ENGINE_TRAIN_PROFILE_H
#define TREAD_ENGINE_TRAIN_PROFILE_H

#include <sys/resource.h>
#include <tread/profile_train.h>

#include "core/recorder.h"
#include "engine/profile/counters.h"
#include "engine/profile/noise.h"
#include "engine/train/trainer.h"

#define TREAD_PROFILE_STRETCH 10 /* steps between which recording is switched on or off, at most */
#define TREAD_PROFILE_PARTS (2 * (TREAD_RECORDER_ROWS + 1) + 1)

typedef struct tread_train_profile_private {
    tread_train_profile shown; /* what callers see */
    tread_profile_train_options options;
    tread_trainer *trainer;
    tread_recorder *recorder;
    tread_profile_step *steps;
    tread_profile_part *parts;
    int32_t *part_of_row; /* for the trace */
    tread_profile_counter counters[TREAD_N_COUNTERS];
    const char *optimizer;  /* its name, as spans have it */
    double optimizer_bytes; /* that a step of it moves */
    double *scratch;        /* two numbers a step */

    /* While it runs. */
    tread_counters *counting;
    tread_noise_watch *watch;
    int64_t warmed_up, n_done[2]; /* steps of either kind: not recorded, recorded */
    int64_t stretch, left;        /* number of the stretch under way, and steps left in it */
    bool settling;                /* its first step, which is neither recorded nor timed */
    int64_t n_counted;            /* steps while counters were on */
    unsigned events;              /* of the next step */
    double call_began, began;     /* the latter of the step under way */
    struct rusage usage;
    tread_time_span span, evaluation;
} tread_train_profile_private;

/* engine/profile/train_steps.c: trains, and fills in steps, recorder and counters. */
tread_status tread_train_profile_run(tread_train_profile_private *own);
/* Whether stretch number s is recorded: off, on, on, off, so that a drift of the machine falls on both alike. */
bool tread_profile_stretch_is_recorded(int64_t stretch);
/* Steps of a stretch where so many are to be recorded: a quarter of them, in 1..TREAD_PROFILE_STRETCH. */
int64_t tread_profile_stretch_steps(int64_t steps);

void tread_train_profile_report(tread_train_profile_private *own);

/* engine/profile/train_times.c: from the steps, everything about their times. */
void tread_train_profile_fill_times(tread_train_profile_private *own);
/* Of n seconds; scratch: room for n. All NAN for n = 0. */
tread_profile_times tread_profile_times_of(const double *seconds, size_t n, double *scratch);
tread_profile_histogram tread_profile_histogram_of(const double *seconds, size_t n, const tread_profile_times *times);

/* engine/profile/train_parts.c: from the recorder, the parts; the machine's figures are filled in already. */
void tread_train_profile_fill_parts(tread_train_profile_private *own);

#endif
