#include "cli/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tread_status fail(const cli_replacement *r) {
    return tread_fail(TREAD_ERROR_IO, "--%s: %s cannot be written: %s", r->option, r->path, strerror(errno));
}

/* What a file that is new would have. */
static mode_t new_mode(void) {
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static FILE *open_temporary(cli_replacement *r, mode_t mode) {
    static const char end[] = ".tmp";
    int length = snprintf(r->temporary, sizeof r->temporary, "%s.XXXXXX%s", r->target, end);
    if ((size_t)length >= sizeof r->temporary) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    int fd = mkostemps(r->temporary, sizeof end - 1, O_CLOEXEC);
    if (fd < 0)
        return NULL;
    FILE *file = fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        int reason = errno;
        close(fd);
        unlink(r->temporary);
        errno = reason;
    }
    return file;
}

tread_status cli_replacement_open(cli_replacement *r, const char *option, const char *path) {
    struct stat status;
    *r = (cli_replacement){.option = option, .path = path};
    const bool there = stat(path, &status) == 0;
    if (there && !S_ISREG(status.st_mode)) {
        r->file = fopen(path, "we");
    } else if (there ? realpath(path, r->target) == NULL
                     : (size_t)snprintf(r->target, sizeof r->target, "%s", path) >= sizeof r->target) {
        return fail(r);
    } else {
        r->file = open_temporary(r, there ? status.st_mode & 07777 : new_mode());
    }
    return r->file != NULL ? TREAD_OK : fail(r);
}

tread_status cli_replacement_close(cli_replacement *r) {
    const bool temporary = r->temporary[0] != '\0';
    bool good = !ferror(r->file) && fflush(r->file) == 0 && (!temporary || fsync(fileno(r->file)) == 0);
    int reason = errno;
    if (fclose(r->file) != 0 && good) {
        good = false;
        reason = errno;
    }
    if (good && temporary && rename(r->temporary, r->target) != 0) {
        good = false;
        reason = errno;
    }
    if (!good && temporary)
        unlink(r->temporary);
    errno = reason;
    return good ? TREAD_OK : fail(r);
}
