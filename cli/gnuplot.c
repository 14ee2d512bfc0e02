#include "cli/gnuplot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/numbers.h"

extern char **environ;

#define MAX_POINTS 4000 /* more than any picture has columns */
#define MAX_ROWS 22

/* The first n characters between single quotes, within which gnuplot knows nothing but the quote itself, written twice.
 */
void cli_gnuplot_quoted(FILE *script, const char *text, size_t n) {
    fputc('\'', script);
    for (; *text != '\0' && n > 0; text++, n--) {
        if (*text == '\'')
            fputc('\'', script);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, script);
    }
    fputc('\'', script);
}

void cli_gnuplot_terminal(FILE *script, cli_picture picture, int columns, int height) {
    switch (picture) {
    case CLI_PICTURE_TEXT: fprintf(script, "set terminal dumb noenhanced mono size %d,%d\n", columns, MAX_ROWS); break;
    case CLI_PICTURE_PNG: /* whichever of the two this gnuplot was built with */
        fprintf(script,
                "if (strstrt(GPVAL_TERMINALS, ' pngcairo ')) { set terminal pngcairo noenhanced size 960,%d } "
                "else { set terminal png noenhanced size 960,%d }\n",
                height, height);
        break;
    case CLI_PICTURE_SVG:
        fprintf(script, "set terminal svg noenhanced size 960,%d background 'white'\n", height);
        break;
    }
}

static void print_point(FILE *script, const cli_curve *curve, int64_t i) {
    char text[CLI_NUMBER_TEXT];
    fprintf(script, "%" PRId64 " %s\n", i, cli_number_text(text, curve->lr[i]));
}

/* All points, or of each of so many stretches the least and the greatest: what a picture shows of them. */
static void print_points(FILE *script, const cli_curve *curve) {
    int64_t stretch = curve->n > MAX_POINTS ? (curve->n + MAX_POINTS / 2 - 1) / (MAX_POINTS / 2) : 1;
    for (int64_t begin = 0; begin < curve->n; begin += stretch) {
        int64_t end = begin + stretch < curve->n ? begin + stretch : curve->n, low = begin, high = begin;
        for (int64_t i = begin; i < end; i++) {
            low = curve->lr[i] < curve->lr[low] ? i : low;
            high = curve->lr[i] > curve->lr[high] ? i : high;
        }
        print_point(script, curve, low < high ? low : high);
        if (low != high)
            print_point(script, curve, low < high ? high : low);
    }
}

/* The drawing goes to gnuplot's standard output, so that no file's name stands in the script. */
static void print_script(FILE *script, const void *data, cli_picture picture, int columns) {
    const cli_curve *curve = data;
    double highest = 0;
    for (int64_t i = 0; i < curve->n; i++)
        highest = curve->lr[i] > highest ? curve->lr[i] : highest;
    cli_gnuplot_terminal(script, picture, columns, 540);
    /* gnuplot leaves out a title that is too long: there the name has to do. */
    size_t length = strlen(curve->spec), room = picture == CLI_PICTURE_TEXT ? (size_t)columns - 20 : 100;
    fprintf(script, "set title ");
    cli_gnuplot_quoted(script, curve->spec, length <= room ? length : strcspn(curve->spec, ":"));
    fprintf(script,
            "\nset xlabel 'step'\nset ylabel 'lr'\nunset key\nset border back\nset xrange [0:%" PRId64
            "]\nset yrange [0:%s]\n%s",
            curve->n > 1 ? curve->n - 1 : 1, highest > 0 ? "*" : "1", curve->n <= 10 ? "set xtics 1\n" : "");
    fprintf(script, "$lr << end_of_points\n");
    print_points(script, curve);
    fprintf(script, "end_of_points\nplot $lr using 1:2 with steps%s\n", picture == CLI_PICTURE_TEXT ? "" : " lw 2");
}

/* A file in memory: gnuplot's input is whole before it starts, and its output is read after its end, so that neither
 * side ever waits for the other. */
static FILE *memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

/* Without a shell: the arguments are constants, and the script is standard input. */
static int start(FILE *const streams[3], pid_t *ret_child) {
    static char name[] = "gnuplot", own_settings[] = "-d"; /* not those of the user's .gnuplot */
    char *const arguments[] = {name, own_settings, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t pipe;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_adddup2(&actions, fileno(streams[fd]), fd);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &pipe); /* main() ignores it */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawnp(ret_child, name, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* What gnuplot said, in one line. */
static void read_message(FILE *errors, char *ret_text, size_t size) {
    lseek(fileno(errors), 0, SEEK_SET);
    size_t length = fread(ret_text, 1, size - 1, errors), kept = 0;
    for (size_t i = 0; i < length; i++) {
        char c = ret_text[i] == '\n' || ret_text[i] == '\t' || ret_text[i] == '\0' ? ' ' : ret_text[i];
        if (c != ' ' || (kept > 0 && ret_text[kept - 1] != ' '))
            ret_text[kept++] = c;
    }
    ret_text[kept] = '\0';
}

static tread_status run(FILE *const streams[3], bool *ret_missing) {
    pid_t child;
    int result, error = start(streams, &child);
    *ret_missing = error == ENOENT;
    if (*ret_missing)
        return tread_fail(TREAD_ERROR_IO,
                          "there is no gnuplot, which draws the curve; Debian's package is gnuplot-nox");
    if (error != 0)
        return tread_fail(TREAD_ERROR_IO, "gnuplot cannot be started: %s", strerror(error));
    while (waitpid(child, &result, 0) < 0)
        if (errno != EINTR)
            return tread_fail(TREAD_ERROR_IO, "gnuplot: %s", strerror(errno));
    char message[512];
    read_message(streams[2], message, sizeof message);
    if (WIFSIGNALED(result))
        return tread_fail(TREAD_ERROR_IO, "gnuplot was ended by signal %d: %s", WTERMSIG(result), message);
    if (WEXITSTATUS(result) != 0 || lseek(fileno(streams[1]), 0, SEEK_END) <= 0)
        return tread_fail(TREAD_ERROR_IO, "gnuplot ended with code %d and no drawing: %s", WEXITSTATUS(result),
                          message);
    return TREAD_OK;
}

tread_status cli_gnuplot_script(cli_script_fn *print, const void *data, cli_picture picture, int columns,
                                FILE **ret_drawing, bool *ret_missing) {
    FILE *streams[3] = {memory_file("script"), memory_file("drawing"), memory_file("messages")};
    tread_status status = TREAD_OK;
    *ret_missing = false;
    if (streams[0] == NULL || streams[1] == NULL || streams[2] == NULL)
        status = tread_fail(TREAD_ERROR_IO, "no file in memory for gnuplot: %s", strerror(errno));
    if (status == TREAD_OK) {
        print(streams[0], data, picture, columns);
        if (fflush(streams[0]) != 0 || ferror(streams[0]))
            status = tread_fail(TREAD_ERROR_IO, "the script for gnuplot cannot be written: %s", strerror(errno));
        lseek(fileno(streams[0]), 0, SEEK_SET);
    }
    if (status == TREAD_OK)
        status = run(streams, ret_missing);
    if (status == TREAD_OK) {
        lseek(fileno(streams[1]), 0, SEEK_SET);
        *ret_drawing = streams[1];
        streams[1] = NULL;
    }
    for (int i = 0; i < 3; i++)
        if (streams[i] != NULL)
            fclose(streams[i]);
    return status;
}

tread_status cli_gnuplot(const cli_curve *curve, cli_picture picture, int columns, FILE **ret_drawing,
                         bool *ret_missing) {
    return cli_gnuplot_script(print_script, curve, picture, columns, ret_drawing, ret_missing);
}
