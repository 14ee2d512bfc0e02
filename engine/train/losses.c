#include <tread/ops.h>
#include <tread/trainer.h>

tread_tensor *tread_loss_cross_entropy(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    (void)data;
    return tread_cross_entropy(tape, output, batch->y);
}

tread_tensor *tread_loss_mse(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    (void)data;
    return tread_mse(tape, output, batch->y);
}

tread_tensor *tread_loss_bce_with_logits(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    (void)data;
    return tread_bce_with_logits(tape, output, batch->y);
}
