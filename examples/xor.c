/* Learns "exclusive or" by hand-written steps: the smallest whole training.
 * cc xor.c $(pkg-config --cflags --libs tread) && ./a.out
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <stdio.h>
#include <tread/tread.h>

static int fail(void) { return fprintf(stderr, "%s\n", tread_last_error()), 1; }

int main(void) {
    static float points[] = {0, 0, 0, 1, 1, 0, 1, 1}, answers[] = {0, 1, 1, 0};
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){4, 2}, points);
    tread_tensor *target = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){4, 1}, answers), *logits = NULL;
    tread_module *net =
        tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 2, 8, true), tread_tanh_layer(NULL),
                                            tread_linear_layer(NULL, 8, 1, true)));
    tread_tape *tape = tread_tape_create(NULL);
    tread_optimizer *optimizer =
        net == NULL ? NULL : tread_optimizer_from_spec(NULL, tread_module_parameters(net), "adam:lr=0.05");
    if (x == NULL || target == NULL || tape == NULL || optimizer == NULL)
        return fail();
    for (int step = 0; step < 500; step++) {
        tread_tape_reset(tape);
        logits = tread_forward(net, tape, x);                             /* (4, 1) */
        tread_tensor *loss = tread_bce_with_logits(tape, logits, target); /* scalar */
        if (tread_backward(tape, loss) != TREAD_OK || tread_optimizer_step(optimizer, NULL) != TREAD_OK)
            return fail();
        tread_optimizer_zero_grad(optimizer, false);
    }
    int wrong = 0;
    for (int i = 0; i < 4; i++) {
        float logit = tread_tensor_float(logits)[i]; /* above 0: more likely 1 than 0 */
        printf("%g xor %g is %d\n", points[2 * i], points[2 * i + 1], logit > 0);
        wrong += (logit > 0) != (answers[i] > 0);
    }
    tread_optimizer_destroy(optimizer);
    tread_tape_destroy(tape);
    tread_module_destroy(net);
    tread_tensor_destroy(target);
    tread_tensor_destroy(x);
    return wrong > 0;
}
