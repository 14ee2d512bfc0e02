#include "cli/profile_output.h"

#include <string.h>

#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/replace.h"

const char *const cli_profile_formats[] = {"table", "json", "csv", NULL};

bool cli_profile_plan_drawing(const cli_command *command, int format, const char *output, const char *plot,
                              cli_drawing *ret_drawing) {
    *ret_drawing = (cli_drawing){.picture = CLI_PICTURE_TEXT, .asked = plot != NULL, .wanted = plot != NULL};
    if (plot == NULL)
        return true;
    if (strcmp(plot, "terminal") == 0) {
        if (format == CLI_PROFILE_TABLE || output != NULL)
            return true;
        cli_misuse(command, "--plot terminal would stand among the lines of --format %s", cli_profile_formats[format]);
        return false;
    }
    if (cli_drawing_to_file(ret_drawing, plot))
        return true;
    cli_misuse(command, "--plot: %s is neither terminal nor a file whose name ends in .png or .svg", plot);
    return false;
}

bool cli_profile_files_differ(const cli_command *command, const cli_profile_file *files, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (files[i].path != NULL && files[k].path != NULL && cli_same_file(files[i].path, files[k].path))
                return cli_misuse(command, "--%s and --%s name the same file: %s", files[k].option, files[i].option,
                                  files[i].path),
                       false;
    return true;
}

bool cli_profile_files_can_be_made(const cli_profile_file *files, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (files[i].path != NULL && cli_check_output(files[i].option, files[i].path) != TREAD_OK)
            return false;
    return true;
}

static bool print_or_say(FILE *file, int format, cli_profile_print *print, const void *report) {
    if (print(file, format, report))
        return true;
    tread_fail(TREAD_ERROR_MEMORY, "out of memory: the profile as %s", cli_profile_formats[format]);
    return false;
}

bool cli_profile_write(const char *output, int format, cli_profile_print *print, const void *report) {
    if (output == NULL)
        return print_or_say(stdout, format, print, report) && cli_flush_output();
    cli_replacement file;
    CLI_TRY(cli_replacement_open(&file, "output", output) == TREAD_OK);
    const bool printed = print_or_say(file.file, format, print, report);
    return cli_replacement_close(&file) == TREAD_OK && printed;
}
