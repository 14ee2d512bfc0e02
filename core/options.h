/* Layer: core. Option structs across versions: each begins with `size_t size`, what its program was compiled with. */
#ifndef TREAD_CORE_OPTIONS_H
#define TREAD_CORE_OPTIONS_H

#include <stddef.h>
#include <tread/status.h>

/* Lays the caller's struct over *options, which holds the defaults and is `known` bytes long: a shorter one (of an
 * older header) leaves the fields it lacks as they are, a longer one is taken where all that this library does not know
 * is 0. given may be NULL: nothing happens. TREAD_ERROR_ARGUMENT; `call` begins the sentence. */
tread_status tread_options_read(const char *call, const void *given, void *options, size_t known);
/* The same where given is `size` bytes long, whatever its first member says. */
tread_status tread_options_lay(const char *call, const void *given, size_t size, void *options, size_t known);

#endif
