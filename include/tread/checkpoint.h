/* Layer: engine. Checkpoints: a state (state.h) in one file, and the state of a whole run.
 *
 * A checkpoint is a file in the safetensors format (https://github.com/huggingface/safetensors), so that every reader
 * of that format opens it: eight bytes, little end first, with the length of the header; the header in JSON, padded
 * with blanks; the tensors' values. Beyond that:
 *
 * - The state's tensors have dotted names: the names on the way to them with dots between, a list's parts by their
 *   index from 0. "0.weight" in "model" is "model.0.weight". Names stand there as they are, dots of their own
 *   included; where a name is taken by a tensor earlier in the tree (or is "__metadata__"), "~2" is added, or "~3"
 *   and so on, whichever is free first. So every tensor has its own name, and whoever walks the tree in its order
 *   finds it.
 * - The values of large elements come first: each tensor lies aligned to its elements.
 * - The metadata has "format" ("tread"), "tread_version", "tread" and "tread_header_hash". "tread" is an object in
 *   JSON: "format_version" (1); "tensor_hashes", by name; in a checkpoint "state". There a tree is an object, in
 *   order; a list an array; a tensor null; reals have a dot or an exponent, and read back to the same bits (17
 *   digits); integers have neither.
 * - A hash is XXH3 with 128 bits, seed 0, as 32 hexadecimal digits in small letters. A tensor's is over its values as
 *   they lie in the file. The header begins with {"__metadata__":{"tread_header_hash":" and the digits, bytes 46 to 77
 *   of the file: the hash of the file's first 8 + length bytes with '0' for each of these digits.
 *
 * A later format version with another meaning of "state" has a larger number, and is refused by it. What is written,
 * and what happens to an older file, is as for tread_weights_save (weights.h); its files are the same without "state".
 */
#ifndef TREAD_CHECKPOINT_H
#define TREAD_CHECKPOINT_H

#include <tread/lr_scheduler.h>
#include <tread/random.h>
#include <tread/state.h>

TREAD_BEGIN_DECLS

#define TREAD_CHECKPOINT_MAX_DEPTH 64 /* of trees and lists in one another */

/* Writes a tree. The state is only read, so that it may be a copy that another thread writes. TREAD_ERROR_ARGUMENT (not
 * a tree; names or strings that are not UTF-8; too deep; a header over 100 MB), TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_checkpoint_save(const char *path, const tread_state *state);

/* Reads a checkpoint, which the caller destroys. Everything is checked before: lengths against the size of the file,
 * names, shapes, types, that the values fill the file without gap or overlap, every hash, the format version, and that
 * tree and tensors are those of each other. TREAD_ERROR_IO; TREAD_ERROR_FORMAT (no checkpoint, damaged, of a later
 * version; the sentence says file, place, what was expected and what was found); TREAD_ERROR_MEMORY: never more is
 * asked for than the file is long, and a multiple of its header. */
TREAD_API tread_status tread_checkpoint_load(const char *path, tread_state **ret_state);

/* ---- The state of a run ----
 *
 * A tree: "model" (parameters by name), "optimizer" and "schedulers" (a list of their state dicts), "random" (by name
 * "seed", "stream" and "next", whose 64 bits are taken as integers with a sign). What else a run has, such as its place
 * in the data, is added to the tree under other names by whoever has it. */

typedef struct tread_named_rng {
    const char *name;
    tread_rng *rng;
} tread_named_rng;

typedef struct tread_run_parts {
    size_t size;                           /* sizeof, set by tread_run_parts_defaults() */
    tread_parameter_list parameters;       /* [none]; one without a name is "param.<index>" */
    tread_optimizer *optimizer;            /* [NULL] */
    tread_lr_scheduler *const *schedulers; /* [none] of this optimizer */
    size_t n_schedulers;
    const tread_named_rng *rngs; /* [none] */
    size_t n_rngs;
} tread_run_parts;
TREAD_API tread_run_parts tread_run_parts_defaults(void);

/* A copy, which the caller destroys; parts that are not there are left out. NULL: TREAD_ERROR_ARGUMENT (two of one
 * name), TREAD_ERROR_MEMORY. */
TREAD_API tread_state *tread_run_state(const tread_run_parts *parts);

/* Puts a state back into the same parts; names it has beyond them are left to the caller. All or nothing: on failure
 * every part is as before. TREAD_ERROR_FORMAT: it is of another model or optimizer; the sentence lists the differences
 * of all parts, as many as fit (tread_state_diff with tread_run_state() has all). TREAD_ERROR_STATE (a scheduler of
 * another optimizer), TREAD_ERROR_MEMORY, or what the functions of a scheduler's user fail with. */
TREAD_API tread_status tread_run_load(const tread_run_parts *parts, const tread_state *state);

TREAD_END_DECLS

#endif
