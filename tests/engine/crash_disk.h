/* Layer: tests. What a crash can leave of one folder.
 *
 * The recorder is a table of file calls that makes the calls and notes what changes the folder: creations, reserved
 * space, writes, renames, second names, removals, and the fsync of a file or of the folder. The model then says what
 * a disk may hold if the machine stops after the first p of these operations. It permits what POSIX does not rule out,
 * more than ext4 or XFS ever do:
 *
 * - Data: fsync of a file makes what was written to it before last, and says nothing of its names. What came after is
 *   there or not, in any part: not at all; whole; the file cut at any length, down to nothing; the length there and
 *   zeros or garbage in place of the data, from any byte on or in any of its blocks of 64 bytes.
 * - Names: fsync of the folder makes every change of names before it last. Of those after it any subset is there, in
 *   their order: a later one without an earlier one too, and of a rename the new name without the old one gone, or the
 *   old one gone without the new one there.
 * - Nothing else orders data and names: a name may be there without the data behind it.
 *
 * It rules out what no program can be safe from: damage to what was synced, and one name's change being torn. */
#ifndef TREAD_TESTS_ENGINE_CRASH_DISK_H
#define TREAD_TESTS_ENGINE_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on the calls are recorded, of files in the folder (not of those whose names begin with a dot). Without
 * links, link fails as on a file system that has none. */
void crash_record(const char *folder, bool links);
/* Puts the marks of the caller between the operations: any number from 0. */
void crash_mark(int mark);
void crash_record_end(void); /* the record stays */
void crash_forget(void);     /* frees it */

/* Drops operations from the record, as if the program had not made them. */
void crash_drop_file_syncs(void);
void crash_drop_folder_syncs(void);

int crash_operations(void); /* marks not counted */
/* The last mark before a crash that comes after p operations, -1 for none, and *ret_next the one that follows it
 * in the record, -1 for none. */
int crash_last_mark(int p, int *ret_next);

/* A crash after p operations. */
typedef struct crash_state {
    int p;
    int n_names; /* changes of names that are not synced: masks of that many bits */
    int n_files; /* with data that is not synced */
} crash_state;
crash_state crash_after(int p);

/* Ways that data which is not synced can be lost; those from CRASH_CUT on take a random number. */
typedef enum crash_data {
    CRASH_NOTHING,
    CRASH_WHOLE,
    CRASH_EMPTY,
    CRASH_CUT,
    CRASH_ZEROS,
    CRASH_GARBAGE,
    CRASH_BLOCKS,
    CRASH_DATA_WAYS,
} crash_data;

/* A hash of the names and contents that the folder would have. */
uint64_t crash_hash(const crash_state *state, uint64_t mask, crash_data way, uint32_t random);
/* Lays them out as files in the folder `to`, in place of those that are there. */
void crash_lay_out(const crash_state *state, uint64_t mask, crash_data way, uint32_t random, const char *to);
/* Text of the state, for messages; static. */
const char *crash_describe(const crash_state *state, uint64_t mask, crash_data way, uint32_t random);

#endif
