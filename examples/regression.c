/* Fits a curve through points of which some are far off, with a loss of its own: sqrt(1 + d^2) - 1, which is d^2 / 2
 * for small d and |d| for large ones, so that the strays pull little.
 * cc regression.c $(pkg-config --cflags --libs tread) -lm && ./a.out
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <math.h>
#include <stdio.h>
#include <tread/tread.h>

#define N 1000

static tread_tensor *robust_loss(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    tread_tensor *one = data; /* scalar; it broadcasts */
    tread_tensor *d = tread_sub(tape, output, batch->y);
    tread_tensor *root = tread_sqrt(tape, tread_add(tape, tread_square(tape, d), one));
    return tread_mean(tape, tread_sub(tape, root, one));
}

static int fail(void) {
    fprintf(stderr, "%s\n", tread_last_error());
    return 1;
}

int main(void) {
    static float x[N], y[N];
    static const int64_t hidden[] = {32, 32};
    tread_rng rng = tread_rng_create(1, 0);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(4 * tread_rng_uniform(&rng) - 2);
        y[i] =
            (float)(sin(2 * x[i]) + 0.05 * tread_rng_normal(&rng) + (i % 10 == 0 ? 20 * tread_rng_uniform(&rng) : 0));
    }
    tread_dataset *points = tread_dataset_from_targets(N, 1, x, 1, y);
    tread_batches *batches = tread_batches_create(NULL, points, NULL);
    tread_tensor *one = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    tread_mlp_options m = tread_mlp_defaults();
    m.n_inputs = m.n_outputs = 1;
    m.hidden = hidden;
    m.n_hidden = 2;
    m.activation = TREAD_ACTIVATION_TANH;
    tread_module *net = tread_mlp(NULL, &m);
    if (batches == NULL || one == NULL || net == NULL || tread_tensor_fill(one, 1) != TREAD_OK)
        return fail();

    tread_trainer_options o = tread_trainer_defaults();
    o.model = net;
    o.optimizer = tread_optimizer_from_spec(NULL, tread_module_parameters(net), "adam:lr=0.01");
    if (o.optimizer == NULL)
        return fail();
    o.train = batches;
    o.epochs = 100;
    o.loss = robust_loss;
    o.loss_data = one;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    if (trainer == NULL || tread_trainer_run(trainer) != TREAD_OK)
        return fail();

    /* How far from the curve itself, without noise and strays. */
    double worst = 0;
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *all = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){N, 1}, x);
    tread_tensor *fit = tread_forward(net, tape, all); /* (N, 1) */
    if (fit == NULL)
        return fail();
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(tread_tensor_float(fit)[i] - sin(2 * x[i])));
    printf("after %lld steps the fit is nowhere farther from the curve than %.3f\n",
           (long long)tread_trainer_result(trainer)->steps, worst);

    tread_tensor_destroy(all);
    tread_tape_destroy(tape);
    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(o.optimizer);
    tread_module_destroy(net);
    tread_tensor_destroy(one);
    tread_batches_destroy(batches);
    tread_dataset_destroy(points);
    return worst < 0.5 ? 0 : 1;
}
