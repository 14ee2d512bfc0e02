#include "cli/paths.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tread/status.h>
#include <unistd.h>

tread_status cli_check_output(const char *option, const char *path) {
    char copy[PATH_MAX];
    struct stat file;
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return tread_fail(TREAD_ERROR_ARGUMENT, "--%s: the path has more than %zu bytes", option, sizeof copy - 1);
    if (stat(path, &file) == 0 && S_ISDIR(file.st_mode))
        return tread_fail(TREAD_ERROR_IO, "--%s: %s is a folder", option, path);
    const char *folder = dirname(copy);
    return access(folder, W_OK | X_OK) == 0
               ? TREAD_OK
               : tread_fail(TREAD_ERROR_IO, "--%s: no file can be made in %s: %s", option, folder, strerror(errno));
}

/* The path without links and dots, also of a file that is not there yet; false where its folder is not there either. */
static bool resolve(const char *path, char ret_path[2 * PATH_MAX]) {
    char copy[PATH_MAX], folder[PATH_MAX], name[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return false;
    if (realpath(path, ret_path) != NULL)
        return true;
    snprintf(name, sizeof name, "%s", basename(strcpy(copy, path)));
    if (realpath(dirname(strcpy(copy, path)), folder) == NULL)
        return false;
    snprintf(ret_path, 2 * PATH_MAX, "%s/%s", folder, name);
    return true;
}

bool cli_same_file(const char *a, const char *b) {
    char real_a[2 * PATH_MAX], real_b[2 * PATH_MAX];
    return resolve(a, real_a) && resolve(b, real_b) && strcmp(real_a, real_b) == 0;
}
