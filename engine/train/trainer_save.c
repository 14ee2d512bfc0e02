#include <math.h>
#include <tread/checkpoint_series.h>

#include "core/recorder.h"
#include "core/status.h"
#include "engine/train/trainer.h"

static void note_saved(tread_trainer *trainer) {
    const tread_trainer_progress *progress = &trainer->progress;
    trainer->saves = (tread_trainer_saves){.step = progress->steps,
                                           .epoch = progress->epoch,
                                           .step_in_epoch = progress->step_in_epoch,
                                           .seconds = tread_clock_seconds()};
}

static tread_status save(tread_trainer *trainer) {
    const tread_trainer_progress *progress = &trainer->progress;
    const tread_checkpoint_info info = {
        .epoch = progress->epoch,
        .step = progress->steps,
        .metric = progress->best_step == progress->steps ? progress->best : (double)NAN,
    };
    TREAD_TRAINER_CALL(trainer, on_checkpoint_begin, &info);
    if (trainer->callback_skip) {
        note_saved(trainer); /* it is asked again when the next one is due */
        return TREAD_OK;
    }
    tread_state *state = tread_trainer_state(trainer);
    if (state == NULL)
        return trainer->stepping || trainer->evaluating ? TREAD_ERROR_STATE : TREAD_ERROR_MEMORY;
    tread_status status = tread_checkpoint_series_save(trainer->options.checkpoints, info.step, state, info.metric);
    tread_state_destroy(state);
    TREAD_TRY(status);
    note_saved(trainer);
    TREAD_TRAINER_CALL(trainer, on_checkpoint, &info);
    return TREAD_OK;
}

tread_status tread_trainer_checkpoint(tread_trainer *trainer) {
    TREAD_REFUSE_NULL("trainer checkpoint", trainer);
    if (trainer->options.checkpoints == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: it has no series of checkpoints");
    return save(trainer);
}

static bool is_saved(const tread_trainer *trainer) {
    const tread_trainer_saves *saves = &trainer->saves;
    const tread_trainer_progress *progress = &trainer->progress;
    return saves->step == progress->steps && saves->epoch == progress->epoch &&
           saves->step_in_epoch == progress->step_in_epoch && !saves->wanted;
}

tread_status tread_trainer_save_if_due(tread_trainer *trainer, bool at_epoch) {
    const tread_trainer_options *o = &trainer->options;
    const tread_trainer_progress *progress = &trainer->progress;
    if (o->checkpoints == NULL || is_saved(trainer))
        return TREAD_OK;
    const bool steps = o->checkpoint_every_steps > 0 && progress->steps % o->checkpoint_every_steps == 0 &&
                       progress->steps > trainer->saves.step && progress->steps > 0;
    const bool epochs = at_epoch && o->checkpoint_every_epochs > 0 && progress->epoch % o->checkpoint_every_epochs == 0;
    const bool seconds = o->checkpoint_every_seconds > 0 &&
                         tread_clock_seconds() - trainer->saves.seconds >= o->checkpoint_every_seconds;
    const bool best = o->checkpoint_best && trainer->saves.wanted;
    return steps || epochs || seconds || best ? save(trainer) : TREAD_OK;
}

tread_status tread_trainer_save_last(tread_trainer *trainer) {
    if (trainer->options.checkpoints == NULL)
        return TREAD_OK;
    if (!is_saved(trainer))
        TREAD_TRY(save(trainer));
    return tread_checkpoint_series_wait(trainer->options.checkpoints);
}

tread_status tread_trainer_resume(tread_trainer *trainer, int64_t *ret_step) {
    tread_state *state;
    int64_t step;
    TREAD_REFUSE_NULL("trainer resume", trainer);
    TREAD_REFUSE_NULL("trainer resume", ret_step);
    if (trainer->options.checkpoints == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: it has no series of checkpoints");
    TREAD_TRY(tread_checkpoint_series_latest(trainer->options.checkpoints, &state, &step));
    tread_status status = state != NULL ? tread_trainer_load_state(trainer, state) : TREAD_OK;
    if (status == TREAD_OK && state != NULL)
        note_saved(trainer);
    if (status == TREAD_OK)
        *ret_step = state != NULL ? step : -1;
    tread_state_destroy(state);
    return status;
}
