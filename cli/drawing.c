#include "cli/drawing.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/progress.h"

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

bool cli_drawing_to_file(cli_drawing *drawing, const char *path) {
    if (!ends_in(path, ".png") && !ends_in(path, ".svg"))
        return false;
    drawing->picture = ends_in(path, ".png") ? CLI_PICTURE_PNG : CLI_PICTURE_SVG;
    drawing->path = path;
    return true;
}

int cli_drawing_columns(void) {
    struct winsize size;
    int n = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col - 1 : 79;
    return n < 40 ? 40 : n > 160 ? 160 : n;
}

bool cli_copy(FILE *from, FILE *to) {
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, from)) > 0;)
        CLI_TRY(fwrite(part, 1, n, to) == n);
    return !ferror(from);
}

bool cli_drawing_write(const cli_drawing *d, const char *option, bool say) {
    if (!d->wanted)
        return true;
    if (d->path == NULL) {
        putchar('\n');
        cli_copy(d->file, stdout); /* from memory: what can fail is the output */
        return cli_flush_output();
    }
    FILE *file = fopen(d->path, "we");
    bool good = file != NULL && cli_copy(d->file, file);
    if (file != NULL)
        good = fclose(file) == 0 && good;
    if (!good) {
        tread_fail(TREAD_ERROR_IO, "--%s: %s cannot be written: %s", option, d->path, strerror(errno));
        return false;
    }
    if (say)
        printf("\nwrote  %s\n", d->path);
    return true;
}
