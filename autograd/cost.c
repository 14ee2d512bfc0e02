#include "autograd/tape_internal.h"

tread_cost tread_op_cost(const tread_node *node, double n, double flops, double passes) {
    return (tread_cost){.flops = n * flops, .bytes = n * passes * (double)tread_dtype_size(node->output->dtype)};
}

int tread_op_count_needs(const tread_node *node, int n) {
    int needs = 0;
    for (int i = 0; i < n; i++)
        needs += node->input_needs[i];
    return needs;
}

/* By its first parameter an operation is known in a network. */
static const tread_tensor *subject_of(const tread_node *node) {
    for (int i = 0; i < node->n_inputs; i++) {
        const tread_tensor *x = node->inputs[i];
        if (x != NULL && x->tape == NULL && x->owner == TREAD_OWNER_PARAMETER)
            return x;
    }
    return NULL;
}

tread_time_span tread_node_span_begin(const tread_node *node, tread_trace_phase phase) {
    tread_time_span span;
    span.begin = 0;
    span.level = -1;
    if (!tread_context_measures(node->context))
        return span;
    const tread_time_span_key key = {
        .name = node->op->name, .phase = phase, .subject = subject_of(node), .place = node->output->node};
    tread_time_span_start(node->context, &key, &span);
    return span;
}

void tread_node_span_end(const tread_node *node, tread_time_span span) {
    tread_cost cost = {0};
    if (span.begin == 0)
        return;
    if (tread_time_span_recorded(span) && node->op->cost != NULL)
        cost = node->op->cost(node, span.phase == TREAD_TRACE_BACKWARD);
    tread_time_span_stop(node->context, span, cost);
}
