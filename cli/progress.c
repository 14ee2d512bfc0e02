#include "cli/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL 0.1 /* seconds between two writings of the line */

static bool may_leave;

void cli_reader_may_leave(void) { may_leave = true; }

/* errno may be of a later call than the one that failed. */
static bool reader_left(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

bool cli_flush_output(void) {
    if ((fflush(stdout) == 0 && !ferror(stdout)) || (may_leave && reader_left()))
        return true;
    tread_fail(TREAD_ERROR_IO, "standard output cannot be written: %s", strerror(errno));
    return false;
}

static int terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

cli_line cli_line_of_terminal(void) { return (cli_line){.terminal = isatty(STDERR_FILENO) == 1}; }

bool cli_line_is_due(cli_line *line, double now) {
    if (!line->terminal || now < line->next)
        return false;
    line->next = now + INTERVAL;
    return true;
}

void cli_line_write(cli_line *line, const char *format, ...) {
    char text[256];
    const int width = terminal_width() - 1;
    va_list arguments;
    if (!line->terminal)
        return;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\r%.*s\033[K", length < width ? length : width, text);
    line->shown = true;
}

void cli_line_clear(cli_line *line) {
    if (line->shown)
        fputs("\r\033[K", stderr);
    line->shown = false;
}

static void format_rate(double rate, char *ret_text, size_t size) {
    if (rate >= 10000)
        snprintf(ret_text, size, "%.1fk", rate / 1000);
    else
        snprintf(ret_text, size, "%.0f", rate);
}

static void write_line(cli_progress *progress, const tread_step_info *step) {
    double share = (double)step->step_in_epoch / (double)step->steps_per_epoch;
    /* Left is by steps, at the speed of the whole run so far, evaluations included. */
    double left = step->seconds / (double)step->step * (double)(step->epochs * step->steps_per_epoch - step->step);
    char rate[32];
    format_rate((double)progress->samples / (step->seconds - progress->epoch_began), rate, sizeof rate);
    cli_line_write(&progress->line, "epoch %" PRId64 "/%" PRId64 "  %3.0f %%  loss %.4f  %s samples/s  %d:%02d left",
                   step->epoch + 1, step->epochs, 100 * share, progress->loss / (double)progress->loss_samples, rate,
                   (int)(left / 60), (int)left % 60);
}

double cli_unsigned_nan(double value) { return isnan(value) ? fabs(value) : value; }

/* A run that goes on has steps and seconds already. */
static tread_action on_train_begin(void *data, tread_trainer *trainer) {
    cli_progress *progress = data;
    const tread_train_result *result = tread_trainer_result(trainer);
    progress->epoch_began = result->seconds;
    progress->steps = result->n_history > 0 ? result->history[result->n_history - 1].steps : 0;
    return TREAD_CONTINUE;
}

static tread_action on_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    cli_progress *progress = data;
    progress->samples += step->samples;
    progress->loss += step->loss * (double)step->samples;
    progress->loss_samples += step->samples;
    if (cli_line_is_due(&progress->line, step->seconds)) {
        write_line(progress, step);
        progress->loss = 0;
        progress->loss_samples = 0;
    }
    return TREAD_CONTINUE;
}

static tread_action on_epoch(void *data, tread_trainer *trainer, const tread_epoch_metrics *m) {
    (void)trainer;
    cli_progress *progress = data;
    cli_line_clear(&progress->line);
    printf("epoch %-3" PRId64 " train loss %.5f", m->epoch, cli_unsigned_nan(m->train_loss));
    if (!isnan(m->test_loss))
        printf("  test loss %.5f", m->test_loss);
    if (!isnan(m->test_accuracy))
        printf("  test accuracy %.2f %%", 100 * m->test_accuracy);
    if (m->closure_calls > m->steps - progress->steps) /* more than one per step */
        printf("  closure calls %" PRId64, m->closure_calls);
    printf("  lr %.3g  %.0f samples/s  %.1f s\n", m->lr, m->samples_per_second, m->seconds);
    progress->steps = m->steps;
    progress->epoch_began = m->seconds;
    progress->samples = 0;
    progress->loss = 0;
    progress->loss_samples = 0;
    return cli_flush_output() ? TREAD_CONTINUE : TREAD_FAIL;
}

static tread_action on_train_end(void *data, tread_trainer *trainer, const tread_train_result *result) {
    cli_progress *progress = data;
    (void)trainer;
    (void)result;
    cli_line_clear(&progress->line);
    return TREAD_CONTINUE;
}

tread_callbacks cli_progress_callbacks(cli_progress *progress) {
    progress->line = cli_line_of_terminal();
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = progress;
    callbacks.on_train_begin = on_train_begin;
    callbacks.on_step = progress->line.terminal ? on_step : NULL;
    callbacks.on_epoch = on_epoch;
    callbacks.on_train_end = on_train_end;
    return callbacks;
}
