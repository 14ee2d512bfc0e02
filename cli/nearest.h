/* Layer: cli. "did you mean": the known names that a mistyped one, or the beginning of one, is most like. */
#ifndef TREAD_CLI_NEAREST_H
#define TREAD_CLI_NEAREST_H

#include <stddef.h>

/* ", did you mean NAME?" for the one of count names that text is but for upper and lower case, else those that begin
 * with it or contain it ("A, B or C", four at most), else the nearest; or "" where none is near. Static memory, good
 * until the next call. */
const char *cli_hint(const char *text, const char *const *names, size_t count);

#endif
