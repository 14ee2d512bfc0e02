/* Layer: core. Environment variables, read strictly: one that is set to nonsense is an error that names it and its
 * value. A variable set to the empty string counts as unset. */
#ifndef TREAD_CORE_ENVIRONMENT_H
#define TREAD_CORE_ENVIRONMENT_H

#include <stddef.h>
#include <tread/status.h>

/* The text, or NULL where unset. Owned by the environment: copy it to keep it. */
const char *tread_environment_text(const char *name);

/* A whole number from low to high; *ret_value stays where the variable is unset. TREAD_ERROR_ARGUMENT. */
tread_status tread_environment_integer(const char *name, long low, long high, long *ret_value);
/* The same for a variable that may be a list with commas, of which the first entry counts (OMP_NUM_THREADS). */
tread_status tread_environment_first_integer(const char *name, long low, long high, long *ret_value);

/* The index of the variable's value in words; *ret_index stays where it is unset. TREAD_ERROR_ARGUMENT lists the words.
 */
tread_status tread_environment_word(const char *name, const char *const *words, size_t n, int *ret_index);

#endif
