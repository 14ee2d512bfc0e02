/* Layer: engine. Everything: a program that does not care what stands where includes this one. */
#ifndef TREAD_TREAD_H
#define TREAD_TREAD_H

#include <tread/context.h>
#include <tread/gradcheck.h>
#include <tread/ops.h>
#include <tread/parameter.h>
#include <tread/random.h>
#include <tread/status.h>
#include <tread/tape.h>
#include <tread/tensor.h>
#include <tread/version.h>

#endif
