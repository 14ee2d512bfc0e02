#include <string.h>

#include "autograd/tape_internal.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/status.h"

static void read_key(const tread_tensor *x, bool record, tread_input_key *key) {
    memset(key, 0, sizeof *key);
    if (x == NULL)
        return;
    key->present = true;
    key->needs = record && x->requires_grad;
    key->dtype = x->dtype;
    key->rank = x->rank;
    memcpy(key->shape, x->shape, sizeof key->shape);
}

static bool key_fits(const tread_input_key *key, const tread_tensor *x, bool record) {
    if (x == NULL)
        return !key->present;
    return key->present && key->needs == (record && x->requires_grad) && key->dtype == x->dtype &&
           key->rank == x->rank && memcmp(key->shape, x->shape, sizeof key->shape) == 0;
}

static bool node_fits(const tread_node_private *own, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                      const tread_attributes *attributes, bool record) {
    if (own->node.op != op || own->node.n_inputs != n_inputs ||
        memcmp(&own->node.attributes, attributes, sizeof *attributes) != 0)
        return false;
    for (int i = 0; i < n_inputs; i++)
        if (!key_fits(&own->keys[i], inputs[i], record))
            return false;
    return true;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) { /* FNV-1a */
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    return hash;
}

static uint64_t hash_call(const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                          const tread_attributes *attributes, bool record) {
    uint64_t hash = hash_bytes(0xcbf29ce484222325U, &op, sizeof op);
    hash = hash_bytes(hash, attributes, sizeof *attributes);
    for (int i = 0; i < n_inputs; i++) {
        tread_input_key key;
        read_key(inputs[i], record, &key);
        hash = hash_bytes(hash, &key, sizeof key);
    }
    return hash;
}

void tread_plan_free(tread_node_private *own) {
    if (own == NULL)
        return;
    if (own->node.op->release != NULL && own->node.plan != NULL)
        own->node.op->release(&own->node);
    tread_free(own->node.workspace);
    tread_free(own->planned.data);
    tread_free(own->grad.data);
    tread_free(own);
}

static void unlink_parked(tread_tape *tape, tread_node_private *own) {
    *(own->newer != NULL ? &own->newer->older : &tape->newest) = own->older;
    *(own->older != NULL ? &own->older->newer : &tape->oldest) = own->newer;
    own->newer = own->older = NULL;
    tape->parked_nodes--;
    tape->parked_bytes -= own->bytes;
}

static void park(tread_tape *tape, tread_node_private *own) {
    own->newer = NULL;
    own->older = tape->newest;
    *(tape->newest != NULL ? &tape->newest->newer : &tape->oldest) = own;
    tape->newest = own;
    tape->parked_nodes++;
    tape->parked_bytes += own->bytes;
    /* The newest stays whatever its size, or two alternating large shapes would be planned at every step. */
    while (tape->oldest != own &&
           (tape->parked_nodes > TREAD_TAPE_PARKED_NODES || tape->parked_bytes > TREAD_TAPE_PARKED_BYTES)) {
        tread_node_private *victim = tape->oldest;
        unlink_parked(tape, victim);
        tread_plan_free(victim);
    }
}

static tread_node_private *take_parked(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                                       const tread_attributes *attributes, bool record) {
    if (tape->newest == NULL)
        return NULL;
    uint64_t hash = hash_call(op, inputs, n_inputs, attributes, record);
    for (tread_node_private *own = tape->newest; own != NULL; own = own->older)
        if (own->hash == hash && node_fits(own, op, inputs, n_inputs, attributes, record)) {
            unlink_parked(tape, own);
            return own;
        }
    return NULL;
}

/* One block: the node, then its arrays, widest elements first. */
static tread_node_private *allocate_node(int n_inputs) {
    size_t n = (size_t)n_inputs;
    size_t bytes = sizeof(tread_node_private) +
                   n * (sizeof(tread_tensor *) + sizeof(tread_input_key) + sizeof(uint32_t) + 2 * sizeof(bool));
    tread_node_private *own = tread_calloc(1, bytes, "a recorded operation");
    if (own == NULL)
        return NULL;
    char *next = (char *)(own + 1);
    own->node.inputs = (tread_tensor **)next;
    own->keys = (tread_input_key *)(next += n * sizeof(tread_tensor *));
    own->versions = (uint32_t *)(next += n * sizeof(tread_input_key));
    own->needs = (bool *)(next += n * sizeof(uint32_t));
    own->accumulate = (bool *)(next + n * sizeof(bool));
    own->bytes = bytes;
    return own;
}

static tread_status fill_plan(tread_node_private *own) {
    tread_node *node = &own->node;
    TREAD_TRY(node->op->plan(node));
    if (!node->alias_output) {
        own->planned.data = tread_alloc(tread_tensor_bytes(&own->planned), "an operation's output");
        if (own->planned.data == NULL)
            return TREAD_ERROR_MEMORY;
        own->bytes += tread_tensor_bytes(&own->planned);
    }
    own->grad = own->planned;
    own->grad.data = NULL;
    if (node->requires_grad) {
        own->grad.data = tread_alloc(tread_tensor_bytes(&own->planned), "an operation's gradient");
        if (own->grad.data == NULL)
            return TREAD_ERROR_MEMORY;
        own->bytes += tread_tensor_bytes(&own->planned);
    }
    return TREAD_OK;
}

static tread_status make_node(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                              const tread_attributes *attributes, bool record, tread_node_private **ret_own) {
    tread_node_private *own = allocate_node(n_inputs);
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    tread_node *node = &own->node;
    node->op = op;
    node->tape = tape;
    node->context = tread_context_resolve(tape->given);
    node->attributes = *attributes;
    node->n_inputs = n_inputs;
    node->input_needs = own->needs;
    node->own = own;
    node->output = &own->planned;
    own->hash = hash_call(op, inputs, n_inputs, attributes, record);
    for (int i = 0; i < n_inputs; i++) {
        node->inputs[i] = inputs[i];
        read_key(inputs[i], record, &own->keys[i]);
        own->needs[i] = own->keys[i].needs && op->backward != NULL;
        node->requires_grad |= own->needs[i];
    }
    uint64_t start = tread_trace_start(node->context);
    tread_status status = fill_plan(own);
    tread_trace_stop(node->context, start, op->name, TREAD_TRACE_PLAN);
    if (status != TREAD_OK) {
        tread_plan_free(own);
        return status;
    }
    *ret_own = own;
    return TREAD_OK;
}

tread_status tread_plan_bind(tread_tape *tape, size_t index, const tread_op *op, tread_tensor *const *inputs,
                             int n_inputs, const tread_attributes *attributes, bool record) {
    tread_slot *slot = tape->slots[index];
    if (slot->bound != NULL && node_fits(slot->bound, op, inputs, n_inputs, attributes, record))
        return TREAD_OK;
    tread_node_private *own = take_parked(tape, op, inputs, n_inputs, attributes, record);
    if (own == NULL)
        TREAD_TRY(make_node(tape, op, inputs, n_inputs, attributes, record, &own));
    if (slot->bound != NULL)
        park(tape, slot->bound);
    slot->bound = own;
    return TREAD_OK;
}

tread_status tread_node_set_output(tread_node *node, tread_dtype dtype, int rank, const int64_t *shape) {
    return tread_tensor_init(node->output, dtype, rank, shape);
}

tread_status tread_node_workspace(tread_node *node, size_t bytes) {
    node->workspace = tread_alloc(bytes, "an operation's workspace");
    node->own->bytes += bytes;
    return node->workspace != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
}
