/* Layer: tests. A table of file calls of which a chosen one fails. The others are the system's, but that fsync only
 * seems to sync: what is tested here is what the library does, and disks are slow. */
#ifndef TREAD_TESTS_ENGINE_FAULT_H
#define TREAD_TESTS_ENGINE_FAULT_H

#include <stdbool.h>

typedef enum fault_kind {
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_FALLOCATE,
    FAULT_FSYNC,
    FAULT_CLOSE, /* the descriptor is closed all the same, as Linux does */
    FAULT_RENAME,
    FAULT_LINK,
    FAULT_UNLINK,
    FAULT_STATUS, /* stat, fstat, access, realpath, fchmod */
    FAULT_LOCK,
    FAULT_FOLDER, /* mkdir, opendir, readdir */
    FAULT_KINDS,
    FAULT_ANY = FAULT_KINDS,
} fault_kind;
extern const char *const fault_names[FAULT_KINDS + 1];

#define FAULT_SHORT (-1) /* as a reason: read and write move about half; no failure for other calls */

/* From now on the table is in place, and nothing fails. */
void fault_begin(void);
/* The n-th call of the kind from now on (1 is the next) fails with the reason, an errno; with `lasting` those after it
 * too. */
void fault_plan(fault_kind kind, int n, int reason, bool lasting);
bool fault_happened(void); /* since fault_plan */
void fault_end(void);      /* the system's table again */

#endif
