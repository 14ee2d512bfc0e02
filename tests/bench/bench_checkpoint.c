/* What saving costs a run: shape B (784-512-256-10) with Adam, batch 64, checkpoints of weights and both moments.
 *
 * First saves alone: their bytes, for how long the caller waits (the state is taken and, in the background, copied) and
 * after how long the file is on disk, as medians. Then training, in stretches of --every seconds that alternate: one
 * without checkpoint, one with a checkpoint at its start, synchronous or in the background; the loss is that of steps
 * in the stretch. "waits" is the caller's share of --every seconds, "at most" counts the time until the file is on disk
 * as lost. The folder (the system's for temporary files) decides what is measured: a disk that syncs, or memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <tread/models.h>
#include <tread/trainer.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define MAX_SAVES 101

typedef struct settings {
    int64_t threads, intervals, saves;
    double every;
    const char *folder;
} settings;

typedef struct training {
    float *x;
    int32_t *y;
    tread_dataset *set; /* of x and y */
    tread_batches *batches;
    tread_module *model;
    tread_optimizer *optimizer;
    tread_trainer *trainer;
    double stop_at;
    int64_t steps;
} training;

static tread_action count_steps(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    (void)step;
    training *t = data;
    t->steps++;
    return bench_clock() >= t->stop_at ? TREAD_STOP : TREAD_CONTINUE;
}

static void create_set(training *t) {
    enum { N = 8192, FEATURES = 784, CLASSES = 10 };
    t->x = malloc(sizeof *t->x * N * FEATURES);
    t->y = malloc(sizeof *t->y * N);
    bench_must(t->x != NULL && t->y != NULL, "memory");
    for (int i = 0; i < N * FEATURES; i++)
        t->x[i] = (float)((unsigned)i * 2654435761u >> 24) / 256;
    for (int i = 0; i < N; i++)
        t->y[i] = i % CLASSES;
    t->set = tread_dataset_from_labels(N, FEATURES, t->x, CLASSES, t->y);
    bench_must(t->set != NULL, "data");
}

static void create_training(training *t, tread_context *context) {
    static const int64_t hidden[] = {512, 256};
    tread_batches_options bo = tread_batches_defaults();
    tread_mlp_options mo = tread_mlp_defaults();
    tread_callbacks callbacks = tread_callbacks_defaults();
    tread_trainer_options to = tread_trainer_defaults();
    bo.batch_size = 64;
    mo.n_inputs = 784;
    mo.hidden = hidden;
    mo.n_hidden = 2;
    mo.n_outputs = 10;
    create_set(t);
    t->batches = tread_batches_create(context, t->set, &bo);
    t->model = tread_mlp(context, &mo);
    bench_must(t->batches != NULL && t->model != NULL, "model");
    t->optimizer = tread_optimizer_from_spec(context, tread_module_parameters(t->model), "adam:lr=0.001");
    callbacks.data = t;
    callbacks.on_step = count_steps;
    to.model = t->model;
    to.optimizer = t->optimizer;
    to.train = t->batches;
    to.epochs = INT64_MAX;
    to.callbacks = &callbacks;
    t->trainer = tread_trainer_create(context, &to);
    bench_must(t->trainer != NULL, "trainer");
}

static void destroy_training(training *t) {
    tread_trainer_destroy(t->trainer);
    tread_optimizer_destroy(t->optimizer);
    tread_module_destroy(t->model);
    tread_batches_destroy(t->batches);
    tread_dataset_destroy(t->set);
    free(t->x);
    free(t->y);
}

static void save(const training *t, tread_checkpoint_series *series, int64_t *step) {
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = tread_module_parameters(t->model);
    parts.optimizer = t->optimizer;
    tread_state *state = tread_run_state(&parts);
    bench_must(state != NULL && tread_checkpoint_series_save(series, ++*step, state, NAN) == TREAD_OK, "save");
    tread_state_destroy(state);
}

/* Steps a second. */
static double train(training *t, double seconds) {
    double start = bench_clock();
    t->steps = 0;
    t->stop_at = start + seconds;
    bench_must(tread_trainer_run(t->trainer) == TREAD_OK, "training");
    return (double)t->steps / (bench_clock() - start);
}

static double file_bytes(const char *folder, int64_t step) {
    char path[4200];
    struct stat status;
    snprintf(path, sizeof path, "%s/step-%012lld.safetensors", folder, (long long)step);
    bench_must(stat(path, &status) == 0, path);
    return (double)status.st_size;
}

static tread_checkpoint_series *open_series(const char *folder, bool background) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.background = background;
    tread_checkpoint_series *series = tread_checkpoint_series_open(folder, &o);
    bench_must(series != NULL, folder);
    return series;
}

static void measure(const settings *s, training *t, const char *folder, bool background, int64_t *step, bench *b) {
    double waits[MAX_SAVES], lasting[MAX_SAVES], loss[MAX_SAVES];
    tread_checkpoint_series *series = open_series(folder, background);
    for (int i = -1; i < s->saves; i++) { /* the first takes its memory */
        double start = bench_clock();
        save(t, series, step);
        double returned = bench_clock();
        bench_must(tread_checkpoint_series_wait(series) == TREAD_OK, "save");
        waits[i < 0 ? 0 : i] = returned - start;
        lasting[i < 0 ? 0 : i] = bench_clock() - start;
    }
    for (int i = 0; i < s->intervals; i++) {
        double without = train(t, s->every), start = bench_clock();
        save(t, series, step);
        double spent = bench_clock() - start;
        double with = train(t, s->every - spent) * (s->every - spent) / s->every;
        loss[i] = 1 - with / without;
    }
    bench_must(tread_checkpoint_series_wait(series) == TREAD_OK, "save");
    double bytes = file_bytes(folder, *step);
    bench_summary wait = bench_scale(bench_summarize(waits, (int)s->saves), 1e3);
    bench_summary last = bench_scale(bench_summarize(lasting, (int)s->saves), 1e3);
    bench_summary lost = bench_summarize(loss, (int)s->intervals);
    const char *name = background ? "background" : "synchronous";
    printf("%-12s %10.0f %11.2f %12.2f %9.3f %% %9.3f %% %11.2f %%\n", name, bytes, wait.median, last.median,
           0.1 * wait.median / s->every, 0.1 * last.median / s->every, 100 * lost.median);
    fflush(stdout);
    json_t *row = bench_row(b, name, (int)s->threads);
    json_object_set_new(row, "bytes", json_real(bytes));
    json_object_set_new(row, "every_seconds", json_real(s->every));
    bench_value(row, "waits_ms", wait);
    bench_value(row, "on_disk_ms", last);
    bench_value(row, "lost_share", lost);
    tread_checkpoint_series_destroy(series);
}

int main(int argc, char **argv) {
    const char *temporary = getenv("TMPDIR");
    settings s = {.threads = 2, .intervals = 3, .saves = 15, .every = 5, .folder = temporary ? temporary : P_tmpdir};
    const bench_option options[] = {
        {"threads", BENCH_COUNT, &s.threads, "N", "threads of the training", 1, 1024},
        {"every", BENCH_REAL, &s.every, "SECONDS", "length of a stretch of training", 0.1, 3600},
        {"intervals", BENCH_COUNT, &s.intervals, "N", "stretches of each kind", 1, MAX_SAVES},
        {"saves", BENCH_COUNT, &s.saves, "N", "saves that are timed alone", 1, MAX_SAVES},
        {"folder", BENCH_TEXT, &s.folder, "FOLDER", "where the files are written, and removed", 0, 0},
        {0},
    };
    char folder[4096], path[4200];
    bench *b =
        bench_begin(argc, argv, "What saving checkpoints costs a training of 784-512-256-10 with Adam.", options);
    snprintf(folder, sizeof folder, "%s/bench_checkpoint_XXXXXX", s.folder);
    bench_must(mkdtemp(folder) != NULL, folder);
    tread_context *context = bench_context((int)s.threads);
    training t = {0};
    int64_t step = 0;
    create_training(&t, context);
    train(&t, 1);
    printf("%-12s %10s %11s %12s %11s %11s %13s\n", "save", "bytes", "waits ms", "on disk ms", "waits", "at most",
           "steps lost");
    for (int background = 0; background < 2; background++)
        measure(&s, &t, folder, background, &step, b);
    for (; step > 0; step--) {
        snprintf(path, sizeof path, "%s/step-%012lld.safetensors", folder, (long long)step);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/.lock", folder);
    unlink(path);
    rmdir(folder);
    destroy_training(&t);
    tread_context_destroy(context);
    return bench_end(b);
}
