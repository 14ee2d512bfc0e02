/* Layer: engine. A state as it was at one moment, for a writer that is slower than the program. */
#ifndef TREAD_ENGINE_SNAPSHOT_H
#define TREAD_ENGINE_SNAPSHOT_H

#include <stdbool.h>
#include <tread/state.h>

/* Zeroed before its first use. The values of all tensors lie in one block, which later snapshots use again. */
typedef struct tread_snapshot {
    tread_state *state;
    char *values;
    size_t capacity;
} tread_snapshot;

/* Makes snapshot->state the same tree as state, but for its part `without`, in place of the one before. The values of
 * tensors are copied, or else borrowed from state's tensors, which must outlive the snapshot's use.
 * TREAD_ERROR_MEMORY: snapshot->state is NULL then. */
tread_status tread_snapshot_take(tread_snapshot *snapshot, const tread_state *state, const char *without, bool copy);
void tread_snapshot_free(tread_snapshot *snapshot); /* a zeroed one is accepted */

#endif
