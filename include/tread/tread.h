/* Layer: engine. Everything: a program that does not care what stands where includes this one. */
#ifndef TREAD_TREAD_H
#define TREAD_TREAD_H

#include <tread/activation.h>
#include <tread/bag_mode.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <tread/context.h>
#include <tread/data.h>
#include <tread/field.h>
#include <tread/files.h>
#include <tread/gradcheck.h>
#include <tread/groups.h>
#include <tread/info.h>
#include <tread/init.h>
#include <tread/lr_scheduler.h>
#include <tread/lr_schedulers.h>
#include <tread/metrics.h>
#include <tread/models.h>
#include <tread/module.h>
#include <tread/ops.h>
#include <tread/optimizer.h>
#include <tread/optimizers.h>
#include <tread/parameter.h>
#include <tread/precision.h>
#include <tread/profile.h>
#include <tread/profile_train.h>
#include <tread/random.h>
#include <tread/sparse_grad.h>
#include <tread/state.h>
#include <tread/state_diff.h>
#include <tread/status.h>
#include <tread/tape.h>
#include <tread/tensor.h>
#include <tread/tensor_file.h>
#include <tread/trainer.h>
#include <tread/version.h>
#include <tread/weights.h>

#endif
