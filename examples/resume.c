/* A run that is interrupted, saved, loaded into new objects and gone on with ends as the one that was not, bit for bit.
 * cc resume.c $(pkg-config --cflags --libs tread) && ./a.out
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <stdio.h>
#include <tread/tread.h>

static int fail(void) { return fprintf(stderr, "%s\n", tread_last_error()), 1; }

/* What a run is made of. Its inputs are drawn from a stream of its own, whose place is part of its state. */
typedef struct run {
    tread_module *net;
    tread_tape *tape;
    tread_optimizer *optimizer;
    tread_lr_scheduler *schedule;
    tread_rng rng;
} run;

static int make(run *r, uint64_t seed) {
    r->rng = tread_rng_create(seed, 0);
    r->tape = tread_tape_create(NULL);
    r->net = tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 2, 16, true), tread_tanh_layer(NULL),
                                                 tread_linear_layer(NULL, 16, 1, true)));
    if (r->tape == NULL || r->net == NULL)
        return 0;
    r->optimizer = tread_optimizer_from_spec(NULL, tread_module_parameters(r->net), "adam:lr=0.01");
    r->schedule = r->optimizer == NULL ? NULL : tread_lr_scheduler_from_spec(r->optimizer, "step_lr:step_size=30");
    return r->schedule != NULL && tread_module_initialize(r->net, seed) == TREAD_OK;
}

static void destroy(run *r) {
    tread_lr_scheduler_destroy(r->schedule);
    tread_optimizer_destroy(r->optimizer);
    tread_tape_destroy(r->tape);
    tread_module_destroy(r->net);
}

/* Learns the product of two numbers. */
static int train(run *r, int steps) {
    float points[32], products[16];
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){16, 2}, points);
    tread_tensor *y = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){16, 1}, products);
    int good = x != NULL && y != NULL;
    for (int step = 0; step < steps && good; step++) {
        for (int i = 0; i < 16; i++) {
            points[2 * i] = (float)tread_rng_uniform(&r->rng);
            points[2 * i + 1] = (float)tread_rng_uniform(&r->rng);
            products[i] = points[2 * i] * points[2 * i + 1];
        }
        tread_tape_reset(r->tape);
        tread_tensor *loss = tread_mse(r->tape, tread_forward(r->net, r->tape, x), y);
        good = tread_backward(r->tape, loss) == TREAD_OK && tread_optimizer_step(r->optimizer, NULL) == TREAD_OK &&
               tread_lr_scheduler_step(r->schedule) == TREAD_OK;
        tread_optimizer_zero_grad(r->optimizer, false);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    return good;
}

static tread_run_parts parts_of(run *r, tread_named_rng *name) {
    tread_run_parts parts = tread_run_parts_defaults();
    *name = (tread_named_rng){"inputs", &r->rng};
    parts.parameters = tread_module_parameters(r->net);
    parts.optimizer = r->optimizer;
    parts.schedulers = &r->schedule;
    parts.n_schedulers = 1;
    parts.rngs = name;
    parts.n_rngs = 1;
    return parts;
}

int main(void) {
    static const char path[] = "resume.safetensors";
    run whole = {0}, rest = {0};
    tread_named_rng name, other;
    if (!make(&whole, 1) || !make(&rest, 2) || !train(&whole, 50))
        return fail();
    tread_run_parts parts = parts_of(&whole, &name), again = parts_of(&rest, &other);
    tread_state *saved = tread_run_state(&parts), *loaded = NULL, *end = NULL, *end_again = NULL;
    size_t differences = 0;
    if (saved == NULL || tread_checkpoint_save(path, saved) != TREAD_OK || !train(&whole, 50)) /* it goes on */
        return fail();
    if (tread_checkpoint_load(path, &loaded) != TREAD_OK || tread_run_load(&again, loaded) != TREAD_OK ||
        !train(&rest, 50))
        return fail();
    end = tread_run_state(&parts);
    end_again = tread_run_state(&again);
    if (end == NULL || end_again == NULL || tread_state_diff(end, end_again, NULL, NULL, &differences) != TREAD_OK)
        return fail();
    printf("%zu differences between the run and the resumed one\n", differences);
    remove(path);
    tread_state_destroy(saved);
    tread_state_destroy(loaded);
    tread_state_destroy(end);
    tread_state_destroy(end_again);
    destroy(&whole);
    destroy(&rest);
    return differences > 0;
}
