/* Layer: core. The version of the headers, and of the library that is running. */
#ifndef TREAD_VERSION_H
#define TREAD_VERSION_H

#include <tread/status.h>

#define TREAD_VERSION_MAJOR 0
#define TREAD_VERSION_MINOR 1
#define TREAD_VERSION_PATCH 0
#define TREAD_VERSION_STRING "0.1.0"

TREAD_BEGIN_DECLS

/* The running library's version, "major.minor.patch"; a program compares it with TREAD_VERSION_STRING, which
 * is that of the headers it was built with. The string is static. */
TREAD_API const char *tread_version(void);

TREAD_END_DECLS

#endif
