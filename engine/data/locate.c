#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/data.h>
#include <unistd.h>

#include "core/status.h"
#include "engine/file_system.h"
#include "tread_config.h"

#define WANTED "train-images-idx3-ubyte"

/* NULL where it is not set, or empty. */
static const char *variable_of(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool holds_data(const char *folder) {
    char path[4096];
    for (int gzip = 0; gzip < 2; gzip++) {
        int length = snprintf(path, sizeof path, "%s/" WANTED "%s", folder, gzip ? ".gz" : "");
        if (length > 0 && (size_t)length < sizeof path && tread_fs_access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static tread_status found(const char *folder, char *ret_folder, size_t size) {
    if (strlen(folder) >= size)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data: the path %s does not fit in %zu bytes", folder, size);
    memcpy(ret_folder, folder, strlen(folder) + 1);
    return TREAD_OK;
}

tread_status tread_data_locate(const char *folder, char *ret_folder, size_t size) {
    const char *variable = variable_of("TREAD_DATA"), *source = variable_of("TREAD_SOURCE_DATA");
    if (folder != NULL || variable != NULL) { /* somebody said where: no other data instead */
        const char *said = folder != NULL ? folder : variable;
        if (holds_data(said))
            return found(said, ret_folder, size);
        return tread_fail(TREAD_ERROR_IO, "no " WANTED " or " WANTED ".gz in the folder %s%s", said,
                          folder != NULL ? "" : " (from TREAD_DATA)");
    }
    static const char installed[] = TREAD_DATADIR "/mnist";
    if (holds_data(installed))
        return found(installed, ret_folder, size);
    if (source != NULL && holds_data(source))
        return found(source, ret_folder, size);
    return tread_fail(TREAD_ERROR_IO,
                      "no " WANTED " or " WANTED
                      ".gz found; tried: TREAD_DATA (not set), the installed folder %s, TREAD_SOURCE_DATA "
                      "(%s)",
                      installed, source != NULL ? source : "not set");
}
