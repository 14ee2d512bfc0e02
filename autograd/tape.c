#include <tread/tape.h>

#include <stdarg.h>
#include <string.h>

#include "autograd/tape_internal.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/status.h"
#include "core/streams.h"

tread_tape *tread_tape_create(tread_context *context) {
    tread_tape *tape = tread_calloc(1, sizeof *tape, "a tape");
    if (tape == NULL)
        return NULL;
    tape->given = context;
    tape->generation = 1;
    tape->rng = tread_rng_create(tread_context_seed(context), TREAD_STREAM_TAPE);
    return tape;
}

void tread_tape_destroy(tread_tape *tape) {
    if (tape == NULL)
        return;
    for (size_t i = 0; i < tape->n_slots; i++) {
        tread_plan_free(tape->slots[i]->bound);
        tread_free(tape->slots[i]);
    }
    for (tread_node_private *own = tape->newest, *next; own != NULL; own = next) {
        next = own->older;
        tread_plan_free(own);
    }
    tread_free(tape->slots);
    tread_free(tape);
}

void tread_tape_reset(tread_tape *tape) {
    if (tape == NULL)
        return;
    tape->generation++;
    tape->length = 0;
    tape->status = TREAD_OK;
    tape->error[0] = '\0';
}

tread_status tread_tape_status(const tread_tape *tape) { return tape != NULL ? tape->status : TREAD_ERROR_ARGUMENT; }
const char *tread_tape_error(const tread_tape *tape) { return tape != NULL ? tape->error : "the tape is NULL"; }
size_t tread_tape_length(const tread_tape *tape) { return tape != NULL ? tape->length : 0; }
tread_context *tread_tape_context(const tread_tape *tape) { return tape != NULL ? tape->given : NULL; }
tread_rng tread_tape_rng(const tread_tape *tape) { return tape != NULL ? tape->rng : (tread_rng){0}; }
void tread_tape_set_rng(tread_tape *tape, tread_rng rng) {
    if (tape == NULL)
        return;
    tape->rng = rng;
}

tread_precision tread_tape_precision(const tread_tape *tape) {
    return tape != NULL ? tape->precision : TREAD_PRECISION_FLOAT32;
}

tread_status tread_tape_set_precision(tread_tape *tape, tread_precision precision) {
    TREAD_REFUSE_NULL("tape set precision", tape);
    TREAD_TRY(tread_precision_check(tape->given, precision));
    tape->precision = precision;
    return TREAD_OK;
}

tread_status tread_tape_note(tread_tape *tape, tread_status status) {
    if (tape->status == TREAD_OK) {
        tape->status = status;
        size_t length = strnlen(tread_last_error(), sizeof tape->error - 1);
        memcpy(tape->error, tread_last_error(), length);
        tape->error[length] = '\0';
    }
    return status;
}

tread_status tread_tape_repeat_error(const tread_tape *tape) { return tread_fail(tape->status, "%s", tape->error); }

tread_tensor *tread_tape_fail(tread_tape *tape, tread_status status, const char *format, ...) {
    char text[sizeof tape->error];
    if (tape != NULL && tape->status != TREAD_OK)
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)tread_fail(status, "%s", text);
    if (tape != NULL)
        (void)tread_tape_note(tape, status);
    return NULL;
}

tread_status tread_tape_check_tensor(const tread_tape *tape, const char *op, const char *what, const tread_tensor *x) {
    if (x->tape == NULL)
        return TREAD_OK;
    if (x->tape != tape)
        return tread_fail(TREAD_ERROR_STATE, "%s: %s belongs to another tape", op, what);
    if (x->generation != tape->generation)
        return tread_fail(TREAD_ERROR_STATE,
                          "%s: %s is stale: it was made in step %llu of the tape, which is at step %llu", op, what,
                          (unsigned long long)x->generation, (unsigned long long)tape->generation);
    return TREAD_OK;
}

static tread_status check_inputs(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs) {
    for (int i = 0; i < n_inputs; i++) {
        if (inputs[i] == NULL)
            continue;
        if (inputs[i]->tape != NULL) {
            char what[32];
            snprintf(what, sizeof what, "input %d", i);
            TREAD_TRY(tread_tape_check_tensor(tape, op->name, what, inputs[i]));
        } else if (inputs[i]->requires_grad && tread_grad_enabled()) {
            TREAD_TRY(tread_tensor_ensure_grad(inputs[i]));
        }
    }
    return TREAD_OK;
}

/* Slots are made in doubling numbers, all or none. */
static tread_status grow_slots(tread_tape *tape) {
    if (tape->length < tape->n_slots)
        return TREAD_OK;
    if (tape->n_slots == tape->slot_capacity) {
        size_t capacity = tape->slot_capacity > 0 ? 2 * tape->slot_capacity : 32;
        tread_slot **slots = tread_realloc(tape->slots, tape->slot_capacity * sizeof *slots, capacity * sizeof *slots,
                                           "a tape's places");
        if (slots == NULL)
            return TREAD_ERROR_MEMORY;
        tape->slots = slots;
        tape->slot_capacity = capacity;
    }
    tread_slot *slot = tread_calloc(1, sizeof *slot, "a place on the tape");
    if (slot == NULL)
        return TREAD_ERROR_MEMORY;
    tape->slots[tape->n_slots++] = slot;
    return TREAD_OK;
}

static void bind_call(tread_tape *tape, tread_node_private *own, tread_tensor *const *inputs) {
    tread_node *node = &own->node;
    for (int i = 0; i < node->n_inputs; i++) {
        node->inputs[i] = inputs[i];
        own->versions[i] = inputs[i] != NULL ? inputs[i]->version : 0;
    }
    own->reached = own->used = own->grad_present = false;
    tread_tensor *output = &tape->slots[tape->length]->ring[tape->generation % TREAD_TAPE_RING];
    *output = own->planned;
    output->owner = TREAD_OWNER_TAPE;
    output->requires_grad = node->requires_grad;
    output->tape = tape;
    output->generation = tape->generation;
    output->node = (int32_t)tape->length;
    node->output = output;
}

static tread_status apply(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                          const tread_attributes *attributes, tread_tensor **ret_output) {
    TREAD_TRY(check_inputs(tape, op, inputs, n_inputs));
    if (tape->length >= INT32_MAX)
        return tread_fail(TREAD_ERROR_STATE,
                          "%s: the tape already holds %zu operations: tread_tape_reset begins a new step", op->name,
                          tape->length);
    TREAD_TRY(grow_slots(tape));
    TREAD_TRY(tread_plan_bind(tape, tape->length, op, inputs, n_inputs, attributes, tread_grad_enabled()));
    tread_node_private *own = tread_tape_node(tape, tape->length);
    bind_call(tape, own, inputs);
    const tread_time_span span = tread_node_span_begin(&own->node, TREAD_TRACE_FORWARD);
    TREAD_TRY(op->forward(&own->node));
    tread_node_span_end(&own->node, span);
    tape->length++;
    *ret_output = own->node.output;
    return TREAD_OK;
}

tread_tensor *tread_tape_apply(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                               const tread_attributes *attributes) {
    static const tread_attributes none;
    if (tape == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s: the tape is NULL", op->name);
    if (tape->status != TREAD_OK)
        return NULL;
    tread_tensor *output = NULL;
    tread_status status = apply(tape, op, inputs, n_inputs, attributes != NULL ? attributes : &none, &output);
    if (status != TREAD_OK)
        (void)tread_tape_note(tape, status);
    return output;
}

tread_rng tread_node_draw(tread_node *node, uint64_t n) {
    tread_rng here = node->tape->rng;
    node->tape->rng.next += n;
    return here;
}

tread_status tread_op_axis(const tread_node *node, int64_t axis, int rank, int *ret_axis) {
    if (axis < -rank || axis >= rank)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: axis %lld is outside a tensor of rank %d", node->op->name,
                          (long long)axis, rank);
    *ret_axis = (int)(axis < 0 ? axis + rank : axis);
    return TREAD_OK;
}

tread_status tread_op_check_float(const tread_node *node) {
    const tread_tensor *first = NULL;
    for (int i = 0; i < node->n_inputs; i++) {
        const tread_tensor *x = node->inputs[i];
        if (x == NULL)
            continue;
        if (x->dtype != TREAD_FLOAT32 && x->dtype != TREAD_FLOAT64)
            return tread_fail(TREAD_ERROR_DTYPE, "%s: input %d is %s, not float32 or float64", node->op->name, i,
                              tread_dtype_name(x->dtype));
        if (first != NULL && first->dtype != x->dtype)
            return tread_fail(TREAD_ERROR_DTYPE, "%s: input %d is %s, the ones before it are %s", node->op->name, i,
                              tread_dtype_name(x->dtype), tread_dtype_name(first->dtype));
        first = x;
    }
    return TREAD_OK;
}
