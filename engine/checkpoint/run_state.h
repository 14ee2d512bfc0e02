/* Layer: engine. Loading the state of a run as a part of something larger. */
#ifndef TREAD_ENGINE_RUN_STATE_H
#define TREAD_ENGINE_RUN_STATE_H

#include <tread/checkpoint.h>

#include "optim/report.h"

/* As tread_run_load, after its caller has found differences of its own (NULL: none looked for): where there are any,
 * nothing is loaded, and the sentence lists them before those of the parts. */
tread_status tread_run_load_reported(const tread_run_parts *parts, const tread_state *state,
                                     const tread_report *differences);

#endif
