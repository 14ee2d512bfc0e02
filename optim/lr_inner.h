/* Layer: optim. Options that are other schedulers.
 *
 * An inner scheduler is no more than a type and its options: it has no optimizer, no step and no lr of its own. The
 * options struct that holds it owns it, and says so in its `owner`; a caller's handle has none until it is taken. */
#ifndef TREAD_OPTIM_LR_INNER_H
#define TREAD_OPTIM_LR_INNER_H

#include "optim/lr_scheduler.h"

#define TREAD_MAX_NESTING 64 /* schedulers within schedulers: what recurses over them must end */

/* Of a field of any kind: 0 where it holds no schedulers. Entries of a list may be NULL until checked. */
size_t tread_inner_count(const tread_field *field, const void *options);
tread_lr_scheduler *tread_inner_at(const tread_field *field, const void *options, size_t i);

static inline double tread_inner_lr(const tread_lr_scheduler *inner, double base_lr, int64_t step, size_t group) {
    return inner->type->lr(inner->options, base_lr, step, group);
}
/* NAN: it moves none. */
static inline double tread_inner_momentum(const tread_lr_scheduler *inner, int64_t step) {
    return inner->type->momentum != NULL ? inner->type->momentum(inner->options, step) : NAN;
}

/* Destroys those that options own. */
void tread_inner_free(const tread_field *field, void *options);
/* options: a byte copy with lists of its own. Its schedulers become copies that it owns; on failure those that were not
 * copied are NULL. TREAD_ERROR_MEMORY. */
tread_status tread_inner_copy(const tread_field *field, void *options);
/* Of two options with the same schedulers in them: their handles change places, what they hold stays where it is. So
 * the handles that a caller knows go on living in options that replace those which took them over. */
void tread_inner_exchange(const tread_field_table *table, void *a, void *b);

/* "[name:fields]/[name:fields]" */
void tread_inner_text(const tread_field *field, const void *options, tread_report *ret_text);
tread_status tread_inner_set_text(const tread_field_table *table, void *options, const tread_field *field,
                                  const char *text);

/* A tree of algorithm and options (empty: none), or a list of them. */
tread_status tread_inner_to_state(const tread_field *field, const void *options, tread_state *tree);
/* Into the schedulers that are there, which options own: the algorithms must be the same. As tread_fields_from_state.
 */
tread_status tread_inner_from_state(const tread_field *field, void *options, const tread_state *part, const char *where,
                                    tread_report *report);
/* The options of scheduler i in that state. */
const tread_state *tread_inner_state(const tread_field *field, const tread_state *part, size_t i);

/* Whether every scheduler in own options may be part of one on this optimizer: there, on the same optimizer, not part
 * of another one, not twice, not on a metric, and not too deep. */
tread_status tread_inner_check(const tread_field_table *table, const void *options, const tread_optimizer *optimizer);
/* Checked ones leave their optimizer and belong to options. */
void tread_inner_take(const tread_field_table *table, void *options);

/* Whether lists, those of inner schedulers too, fit the number of groups; fails with the given status. */
tread_status tread_inner_fit_groups(const tread_field_table *table, const void *options, size_t n_groups,
                                    tread_status failure);
/* Whether cycle_momentum is on in options or in an inner scheduler's. */
bool tread_inner_cycles_momentum(const tread_field_table *table, const void *options);

#endif
