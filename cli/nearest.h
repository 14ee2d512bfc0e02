/* Layer: cli. "did you mean": the known name that is most like a mistyped one. */
#ifndef TREAD_CLI_NEAREST_H
#define TREAD_CLI_NEAREST_H

#include <stddef.h>

/* ", did you mean NAME?" for the nearest of count names, or "" where none is near. Static memory, good until the next
 * call. */
const char *cli_hint(const char *text, const char *const *names, size_t count);

#endif
