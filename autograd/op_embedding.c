#include <string.h>

#include "autograd/ops_list.h"
#include "core/kernels_bag.h"
#include "core/kernels_copy.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/row_groups.h"
#include "core/sparse_grad.h"
#include "core/status.h"

/* padding_idx is integer[0], sparse integer[1], mode integer[2]. An embedding is a bag for each index.
 *
 * Forward notes which entry belongs to which bag and row, where a gradient is wanted: backward reads no index
 * again, so none that has changed in between can lead it astray. */
typedef struct bag_plan {
    int64_t n, length; /* bags; entries in each, or -1 where offsets say */
    bool is_bag;
    int32_t *starts; /* (n + 1) */
    int32_t *bag_of; /* (entries) */
    int32_t *chosen; /* (n, width), for MAX */
    void *factors;   /* (n), for MEAN */
    void *group_memory;
    tread_row_groups groups;
} bag_plan;

static tread_bag_mode mode_of(const tread_node *node) { return (tread_bag_mode)node->attributes.integer[2]; }

static tread_bags bags_of(const tread_node *node) {
    const bag_plan *own = node->plan;
    return (tread_bags){.dtype = node->output->dtype,
                        .width = node->inputs[0]->shape[1],
                        .table = node->inputs[0]->data,
                        .n = own->n,
                        .n_entries = node->inputs[1]->count,
                        .indices = node->inputs[1]->data,
                        .starts = own->is_bag ? own->starts : NULL,
                        .left_out = own->is_bag ? (int32_t)node->attributes.integer[0] : -1,
                        .mode = mode_of(node)};
}

/* ---- Planning ---- */

static tread_status check_types(const tread_node *node) {
    const tread_tensor *weight = node->inputs[0];
    static const char *const names[] = {"weight", "indices", "offsets"};
    if (weight->dtype != TREAD_FLOAT32 && weight->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: the weight is %s, not float32 or float64", node->op->name,
                          tread_dtype_name(weight->dtype));
    for (int i = 1; i < node->n_inputs; i++)
        if (node->inputs[i] != NULL && node->inputs[i]->dtype != TREAD_INT32)
            return tread_fail(TREAD_ERROR_DTYPE, "%s: the %s are %s, not int32", node->op->name, names[i],
                              tread_dtype_name(node->inputs[i]->dtype));
    if (node->attributes.integer[1] != 0 && weight->dtype != TREAD_FLOAT32)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: a sparse gradient is of float32, and the weight is float64",
                          node->op->name);
    return TREAD_OK;
}

static tread_status check_weight(const tread_node *node) {
    const tread_tensor *weight = node->inputs[0], *indices = node->inputs[1];
    const int64_t padding = node->attributes.integer[0];
    char text[TREAD_SHAPE_TEXT];
    TREAD_TRY(check_types(node));
    if (weight->rank != 2 || weight->shape[0] > INT32_MAX)
        return tread_fail(TREAD_ERROR_SHAPE, "%s: weight %s: expected (rows, width), with at most %d rows",
                          node->op->name, tread_shape_text(text, weight->rank, weight->shape), INT32_MAX);
    if (indices->count > INT32_MAX)
        return tread_fail(TREAD_ERROR_SHAPE, "%s: %lld indices are more than %d", node->op->name,
                          (long long)indices->count, INT32_MAX);
    if (padding != TREAD_NO_PADDING && (padding < 0 || padding >= weight->shape[0]))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: padding_idx = %lld is neither in [0, %lld) nor TREAD_NO_PADDING",
                          node->op->name, (long long)padding, (long long)weight->shape[0]);
    return TREAD_OK;
}

/* Cuts the next `bytes` off a block whose size is being counted (block NULL) or that is being laid out. */
static void *cut(char *block, size_t *at, size_t bytes) {
    void *piece = block != NULL ? block + *at : NULL;
    *at += (bytes + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
    return piece;
}

/* Returns how many bytes the arrays take. */
static size_t lay_out(const tread_node *node, bag_plan *own, char *block) {
    const size_t n = (size_t)own->n, n_entries = (size_t)node->inputs[1]->count;
    const tread_tensor *weight = node->inputs[0];
    size_t at = 0;
    if (own->is_bag)
        own->starts = cut(block, &at, (n + 1) * sizeof(int32_t));
    if (!node->requires_grad)
        return at;
    own->group_memory = cut(block, &at, tread_row_groups_bytes((int64_t)n_entries));
    if (own->is_bag)
        own->bag_of = cut(block, &at, n_entries * sizeof(int32_t));
    if (mode_of(node) == TREAD_BAG_MAX)
        own->chosen = cut(block, &at, n * (size_t)weight->shape[1] * sizeof(int32_t));
    if (mode_of(node) == TREAD_BAG_MEAN)
        own->factors = cut(block, &at, n * tread_dtype_size(weight->dtype));
    return at;
}

static tread_status make_plan(tread_node *node, bag_plan made) {
    bag_plan *own = node->plan = tread_alloc(sizeof *own, "an embedding's plan");
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    *own = made;
    TREAD_TRY(tread_node_workspace(node, lay_out(node, own, NULL)));
    lay_out(node, own, node->workspace);
    return TREAD_OK;
}

static tread_status plan_embedding(tread_node *node) {
    const tread_tensor *weight = node->inputs[0], *indices = node->inputs[1];
    int64_t shape[TREAD_MAX_RANK];
    char text[TREAD_SHAPE_TEXT];
    TREAD_TRY(check_weight(node));
    if (indices->rank == TREAD_MAX_RANK)
        return tread_fail(TREAD_ERROR_SHAPE, "embedding: indices %s have rank %d already",
                          tread_shape_text(text, indices->rank, indices->shape), TREAD_MAX_RANK);
    memcpy(shape, indices->shape, sizeof shape);
    shape[indices->rank] = weight->shape[1];
    TREAD_TRY(tread_node_set_output(node, weight->dtype, indices->rank + 1, shape));
    return make_plan(node, (bag_plan){.n = indices->count, .length = 1});
}

static tread_status plan_bag(tread_node *node) {
    const tread_tensor *weight = node->inputs[0], *indices = node->inputs[1], *offsets = node->inputs[2];
    char text[TREAD_SHAPE_TEXT], offset_text[TREAD_SHAPE_TEXT];
    TREAD_TRY(check_weight(node));
    if (offsets != NULL ? indices->rank != 1 || offsets->rank != 1 : indices->rank != 2)
        return tread_fail(
            TREAD_ERROR_SHAPE,
            "embedding_bag: indices %s and offsets %s: expected (bags, length) and NULL, or (n) and (bags)",
            tread_shape_text(text, indices->rank, indices->shape),
            offsets != NULL ? tread_shape_text(offset_text, offsets->rank, offsets->shape) : "NULL");
    const int64_t n = offsets != NULL ? offsets->shape[0] : indices->shape[0];
    TREAD_TRY(tread_node_set_output(node, weight->dtype, 2, (int64_t[]){n, weight->shape[1]}));
    return make_plan(node, (bag_plan){.n = n, .length = offsets != NULL ? -1 : indices->shape[1], .is_bag = true});
}

static void release(tread_node *node) { tread_free(node->plan); }

/* ---- Forward ---- */

static tread_status check_offsets(const tread_node *node) {
    const bag_plan *own = node->plan;
    const int64_t n_entries = node->inputs[1]->count;
    if (own->length >= 0)
        return TREAD_OK;
    const int32_t *offsets = node->inputs[2]->data;
    for (int64_t i = 0; i < own->n; i++) {
        const int64_t low = i > 0 ? offsets[i - 1] : 0, high = i > 0 ? n_entries : 0;
        if (offsets[i] < low || offsets[i] > high)
            return tread_fail(TREAD_ERROR_ARGUMENT, "embedding_bag: offset %d of bag %lld is outside [%lld, %lld]",
                              (int)offsets[i], (long long)i, (long long)low, (long long)high);
    }
    if (own->n == 0 && n_entries > 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "embedding_bag: %lld indices, and no bag begins", (long long)n_entries);
    return TREAD_OK;
}

static tread_status check_indices(const tread_node *node) {
    const tread_tensor *indices = node->inputs[1];
    const int64_t n_rows = node->inputs[0]->shape[0], bad = tread_bag_check(indices->data, indices->count, n_rows);
    char text[TREAD_SHAPE_TEXT];
    int64_t place[TREAD_MAX_RANK];
    if (bad < 0)
        return TREAD_OK;
    for (int64_t axis = indices->rank - 1, left = bad; axis >= 0; left /= indices->shape[axis--])
        place[axis] = left % indices->shape[axis];
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: index %d at %s is outside [0, %lld)", node->op->name,
                      (int)((const int32_t *)indices->data)[bad], tread_shape_text(text, indices->rank, place),
                      (long long)n_rows);
}

static void note_bags(const tread_node *node, bag_plan *own) {
    const int64_t n_entries = node->inputs[1]->count;
    for (int64_t i = 0; i < own->n; i++)
        own->starts[i] = own->length >= 0 ? (int32_t)(i * own->length) : ((const int32_t *)node->inputs[2]->data)[i];
    own->starts[own->n] = (int32_t)n_entries;
    for (int64_t bag = 0; own->bag_of != NULL && bag < own->n; bag++)
        for (int64_t i = own->starts[bag]; i < own->starts[bag + 1]; i++)
            own->bag_of[i] = (int32_t)bag;
}

static tread_status forward(tread_node *node) {
    bag_plan *own = node->plan;
    TREAD_TRY(check_offsets(node));
    TREAD_TRY(check_indices(node));
    if (own->is_bag)
        note_bags(node, own);
    const tread_bags bags = bags_of(node);
    tread_bag_forward(node->context, &bags, node->output->data, own->chosen);
    if (own->factors != NULL)
        tread_bag_factors(&bags, own->factors);
    if (node->requires_grad)
        tread_row_groups_find(bags.n_entries, bags.indices, node->inputs[0]->shape[0],
                              (int32_t)node->attributes.integer[0], own->group_memory, &own->groups);
    return TREAD_OK;
}

/* ---- Backward ---- */

static tread_status prepare_backward(tread_node *node, const bool *accumulate) {
    (void)accumulate;
    if (node->attributes.integer[1] == 0 || !tread_node_takes_sparse(node, 0))
        return TREAD_OK;
    return tread_sparse_grad_reserve(node->inputs[0], node->inputs[1]->count, node->op->name);
}

static tread_status backward(tread_node *node) {
    const bag_plan *own = node->plan;
    tread_tensor *weight = node->inputs[0];
    tread_group_sum sum = {.dtype = weight->dtype,
                           .width = weight->shape[1],
                           .from = node->grad,
                           .source = own->bag_of,
                           .factors = own->factors,
                           .chosen = own->chosen};
    if (node->attributes.integer[1] != 0 && tread_node_takes_sparse(node, 0)) {
        int32_t *rows;
        float *values;
        tread_sparse_grad_extend(weight, own->groups.count, &rows, &values);
        memcpy(rows, own->groups.rows, (size_t)own->groups.count * sizeof *rows);
        sum.to = values;
    } else {
        const tread_grad_target target = tread_node_grad_target(node, 0);
        if (target.data == NULL)
            return TREAD_OK;
        if (!target.accumulate)
            tread_zero_rows(node->context, weight->dtype, weight->shape[0], weight->shape[1], target.data,
                            weight->shape[1]);
        sum.to = target.data;
        sum.to_named_rows = true;
        sum.accumulate = target.accumulate;
    }
    tread_group_sum_run(node->context, &own->groups, &sum);
    return TREAD_OK;
}

/* forward: a row of the table and an index for each entry, and y; a flop for each number but the first of a bag.
 * backward: dy, the index, and each entry's row of the gradient written once (a dense gradient is zeroed besides); a
 * flop for each number. Rows that are met again, and entries left out as padding, count as any other: this depends on
 * shapes alone. */
static tread_cost cost(const tread_node *node, bool backward) {
    const bag_plan *own = node->plan;
    const double entries = (double)node->inputs[1]->count, width = (double)node->inputs[0]->shape[1];
    const double rows = (double)node->output->count, adds = entries * width - rows;
    const bool is_sparse = node->attributes.integer[1] != 0;
    tread_cost sum;
    if (backward)
        sum = tread_op_cost(node, 1, entries * width,
                            rows + entries * width + (is_sparse ? 0 : (double)node->inputs[0]->count));
    else
        sum = tread_op_cost(node, 1, own->is_bag && adds > 0 ? adds : 0, entries * width + rows);
    sum.bytes += entries * sizeof(int32_t);
    return sum;
}

const tread_op tread_op_embedding = {.name = "embedding",
                                     .plan = plan_embedding,
                                     .forward = forward,
                                     .backward = backward,
                                     .prepare_backward = prepare_backward,
                                     .release = release,
                                     .cost = cost};
const tread_op tread_op_embedding_bag = {.name = "embedding_bag",
                                         .plan = plan_bag,
                                         .forward = forward,
                                         .backward = backward,
                                         .prepare_backward = prepare_backward,
                                         .release = release,
                                         .cost = cost};

/* ---- The functions ---- */

tread_embedding_options tread_embedding_defaults(void) {
    return (tread_embedding_options){.size = sizeof(tread_embedding_options), .padding_idx = TREAD_NO_PADDING};
}

tread_embedding_bag_options tread_embedding_bag_defaults(void) {
    return (tread_embedding_bag_options){
        .size = sizeof(tread_embedding_bag_options), .padding_idx = TREAD_NO_PADDING, .mode = TREAD_BAG_MEAN};
}

tread_tensor *tread_embedding(tread_tape *tape, tread_tensor *weight, tread_tensor *indices,
                              const tread_embedding_options *given) {
    tread_embedding_options options = tread_embedding_defaults();
    if (weight == NULL || indices == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "embedding: the %s NULL",
                               weight == NULL ? "weight is" : "indices are");
    if (tread_options_read("embedding", given, &options, sizeof options) != TREAD_OK)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s", tread_last_error());
    const tread_attributes attributes = {.integer = {options.padding_idx, options.sparse, TREAD_BAG_SUM}};
    return tread_tape_apply(tape, &tread_op_embedding, (tread_tensor *[]){weight, indices}, 2, &attributes);
}

tread_tensor *tread_embedding_bag(tread_tape *tape, tread_tensor *weight, tread_tensor *indices, tread_tensor *offsets,
                                  const tread_embedding_bag_options *given) {
    tread_embedding_bag_options options = tread_embedding_bag_defaults();
    if (weight == NULL || indices == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "embedding_bag: the %s NULL",
                               weight == NULL ? "weight is" : "indices are");
    if (tread_options_read("embedding_bag", given, &options, sizeof options) != TREAD_OK)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s", tread_last_error());
    if ((unsigned)options.mode > TREAD_BAG_MAX)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT,
                               "embedding_bag: mode %d is none of sum (%d), mean (%d), max (%d)", (int)options.mode,
                               TREAD_BAG_SUM, TREAD_BAG_MEAN, TREAD_BAG_MAX);
    const tread_attributes attributes = {.integer = {options.padding_idx, options.sparse, (int64_t)options.mode}};
    return tread_tape_apply(tape, &tread_op_embedding_bag, (tread_tensor *[]){weight, indices, offsets}, 3,
                            &attributes);
}
