/* What making failed is NULL, and the calls that get it say so. */
#include <math.h>
#include <string.h>
#include <tread/tread.h>

#include "tests/test.h"

#define refuses(call, sentence) ck_assert_fails(call, TREAD_ERROR_ARGUMENT, sentence)
#define gives_null(call, sentence)                                                                                     \
    do {                                                                                                               \
        tread_fail(TREAD_ERROR_IO, "an older failure");                                                                \
        ck_assert_ptr_null(call);                                                                                      \
        ck_assert_ptr_nonnull(strstr(tread_last_error(), sentence));                                                   \
    } while (0)

START_TEST(a_tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){2});
    gives_null(tread_add(NULL, x, x), "add: the tape is NULL");
    gives_null(tread_mean(NULL, x), "mean: the tape is NULL");
    gives_null(tread_detach(NULL, x), "detach: the tape is NULL");
    gives_null(tread_dropout(NULL, x, 0.5), "dropout: the tape is NULL");
    gives_null(tread_reshape(NULL, x, 1, (int64_t[]){2}), "reshape: the tape is NULL");
    gives_null(tread_concat(NULL, &x, 1, 0), "concat: the tape is NULL");
    gives_null(tread_mse(NULL, x, x), "mse: the tape is NULL");
    gives_null(tread_embedding(NULL, x, x, NULL), "embedding: the tape is NULL");
    gives_null(tread_embedding_bag(NULL, x, x, NULL, NULL), "embedding_bag: the tape is NULL");
    gives_null(tread_matmul(NULL, NULL, x), "matmul: a is NULL");
    refuses(tread_backward(NULL, x), "backward: the tape is NULL");
    refuses(tread_backward_from(NULL, x, x), "the tape is NULL");
    refuses(tread_tape_write_dot(NULL, stderr), "the tape is NULL");
    ck_assert_int_eq(tread_tape_status(NULL), TREAD_ERROR_ARGUMENT);
    ck_assert_ptr_null(tread_tape_grad(NULL, x));
    ck_assert_uint_eq(tread_tape_length(NULL), 0);
    tread_tape_reset(NULL);
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(an_optimizer) {
    double value;
    tread_parameter_list none = {NULL, 0};
    refuses(tread_optimizer_step(NULL, NULL), "optimizer step: the optimizer is NULL");
    refuses(tread_optimizer_add_param_group(NULL, none, NULL), "the optimizer is NULL");
    refuses(tread_optimizer_add_param_group_spec(NULL, none, "lr=1"), "the optimizer is NULL");
    refuses(tread_optimizer_get(NULL, 0, "lr", &value), "the optimizer is NULL");
    refuses(tread_optimizer_set(NULL, 0, "lr", 1), "the optimizer is NULL");
    refuses(tread_optimizer_clip_grad(NULL, NULL, NULL), "the optimizer is NULL");
    refuses(tread_optimizer_clip_grad_norm(NULL, 1, 2, NULL, NULL), "the optimizer is NULL");
    refuses(tread_optimizer_load_state_dict(NULL, NULL), "the optimizer is NULL");
    refuses(tread_optimizer_set_training(NULL, true), "the optimizer is NULL");
    ck_assert(!tread_optimizer_is_training(NULL));
    refuses(tread_optimizer_print(NULL, stderr), "the optimizer is NULL");
    gives_null(tread_optimizer_state_dict(NULL), "the optimizer is NULL");
    ck_assert(isnan(tread_optimizer_lr(NULL, 0)));
    ck_assert_uint_eq(tread_optimizer_group_count(NULL), 0);
    tread_optimizer_zero_grad(NULL, true);
    gives_null(tread_lr_scheduler_from_spec(NULL, "step_lr:step_size=1"), "the optimizer is NULL");
    refuses(tread_lr_scheduler_step(NULL), "the scheduler is NULL");
    refuses(tread_lr_scheduler_load_state_dict(NULL, NULL), "the scheduler is NULL");
    gives_null(tread_lr_scheduler_state_dict(NULL), "the scheduler is NULL");
    ck_assert(isnan(tread_lr_scheduler_get_last_lr(NULL, 0)));
}
END_TEST

START_TEST(parameters_of_groups) {
    tread_parameter_list none = {NULL, 0};
    tread_parameter_split split;
    refuses(tread_parameter_set_role(NULL, TREAD_ROLE_BIAS), "the parameter is NULL");
    ck_assert_int_eq(tread_parameter_get_role(NULL), TREAD_ROLE_WEIGHT);
    refuses(tread_parameters_split(none, "*", &split), "the list of parameters is empty");
    refuses(tread_parameters_split_decay(none, &split), "the list of parameters is empty");
    refuses(tread_parameters_split_muon(none, &split), "the list of parameters is empty");
    gives_null(tread_optimizer_from_groups(NULL, none, "adam", NULL), "adam: the list of parameters is empty");
    gives_null(tread_optimizer_from_groups(NULL, none, NULL, NULL), "the spec string is NULL");
    gives_null(tread_muon_with_adamw(NULL, none, NULL, NULL), "muon: the list of parameters is empty");
    tread_parameter_split_free(NULL);
}
END_TEST

START_TEST(files_and_states) {
    tread_state *state = tread_state_create();
    tread_tensor_entry entry;
    tread_tensor_scan scan;
    const char *name, *value;
    refuses(tread_checkpoint_save(NULL, state), "checkpoint save: the path is NULL");
    refuses(tread_checkpoint_save("f", NULL), "the state is NULL");
    refuses(tread_checkpoint_load(NULL, &state), "checkpoint load: the path is NULL");
    refuses(tread_checkpoint_load("f", NULL), "the ret_state is NULL");
    gives_null(tread_run_state(NULL), "run state: the parts is NULL");
    refuses(tread_run_load(NULL, state), "the parts is NULL");
    refuses(tread_state_diff(NULL, state, NULL, NULL, NULL), "state diff: the first is NULL");
    refuses(tread_tensor_file_diff(NULL, NULL, NULL, NULL, NULL), "tensor file diff: the first is NULL");
    gives_null(tread_tensor_file_open(NULL), "tensor file open: the path is NULL");
    refuses(tread_tensor_file_entry(NULL, 0, &entry), "tensor file: the file is NULL");
    refuses(tread_tensor_file_scan(NULL, 0, &scan), "tensor file: the file is NULL");
    ck_assert_uint_eq(tread_tensor_file_count(NULL), 0);
    ck_assert(!tread_tensor_file_has_state(NULL) && !tread_tensor_file_has_hashes(NULL));
    ck_assert(!tread_tensor_file_metadata(NULL, 0, &name, &value));
    refuses(tread_weights_save((tread_parameter_list){NULL, 0}, NULL), "weights save: the path is NULL");
    refuses(tread_weights_load((tread_parameter_list){NULL, 0}, NULL, NULL), "weights load: the path is NULL");
    tread_tensor_file_close(NULL);
    tread_state_destroy(state);
}
END_TEST

START_TEST(data_and_trainer) {
    tread_batch batch;
    ck_assert(!tread_batches_next(NULL, &batch));
    refuses(tread_batches_seek(NULL, 0, 0), "the batches is NULL");
    refuses(tread_dataset_normalize(NULL, 0, 1), "the dataset is NULL");
    ck_assert_int_eq(tread_dataset_count(NULL), 0);
    ck_assert_int_eq(tread_batches_count(NULL), 0);
    ck_assert_int_eq(tread_dataset_targets(NULL), 0);
    ck_assert_ptr_null(tread_dataset_rows(NULL));
    ck_assert_ptr_null(tread_dataset_class_name(NULL, 0));
    ck_assert_ptr_null(tread_dataset_feature_means(NULL));
    ck_assert_ptr_null(tread_dataset_feature_stds(NULL));
    refuses(tread_trainer_run(NULL), "the trainer is NULL");
    refuses(tread_trainer_evaluate(NULL, NULL, NULL), "the trainer is NULL");
    ck_assert_ptr_null(tread_trainer_result(NULL));
    ck_assert_ptr_null(tread_trainer_state(NULL));
    refuses(tread_trainer_load_state(NULL, NULL), "the trainer is NULL");
    refuses(tread_trainer_resume(NULL, NULL), "the trainer is NULL");
    refuses(tread_trainer_checkpoint(NULL), "the trainer is NULL");
    refuses(tread_trainer_use_weights(NULL, TREAD_WEIGHTS_BEST), "the trainer is NULL");
    ck_assert_int_eq(tread_trainer_held_weights(NULL), TREAD_WEIGHTS_TRAINING);
    tread_trainer_request_stop(NULL);
}
END_TEST

TEST_MAIN("null", a_tape, an_optimizer, parameters_of_groups, files_and_states, data_and_trainer)
