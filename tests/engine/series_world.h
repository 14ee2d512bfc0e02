/* Layer: tests. States whose every value is a function of the step, so that a mix of two is seen. */
#ifndef TREAD_TESTS_ENGINE_SERIES_WORLD_H
#define TREAD_TESTS_ENGINE_SERIES_WORLD_H

#include <stdbool.h>
#include <tread/checkpoint_series.h>

/* Two tensors, of 300 and 7 values, a list, a string and numbers. n_values changes the first. */
tread_state *series_state(int64_t step);
tread_state *series_state_sized(int64_t step, int64_t n_values);
/* The step whose state this is; -1 where it is none, or a mix. */
int64_t series_step_of(const tread_state *state);

/* Names in the folder that the mark stands in; "" counts all but "." and "..". */
int files_with(const char *folder, const char *mark);
/* Descriptors that this process has open. */
int open_descriptors(void);

#endif
