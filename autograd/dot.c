#include <errno.h>
#include <string.h>

#include "autograd/tape_internal.h"
#include "core/status.h"

/* A leaf or constant is one box however often it is used: it is drawn at its first use. */
static bool used_before(const tread_tape *tape, const tread_tensor *x, size_t node, int input) {
    for (size_t i = 0; i <= node; i++) {
        const tread_node *other = &tread_tape_node(tape, i)->node;
        int end = i == node ? input : other->n_inputs;
        for (int k = 0; k < end; k++)
            if (other->inputs[k] == x)
                return true;
    }
    return false;
}

static void write_input(const tread_tape *tape, FILE *file, size_t index, int input) {
    const tread_tensor *x = tread_tape_node(tape, index)->node.inputs[input];
    const char *style = tread_tape_node(tape, index)->needs[input] ? "" : " [style=dashed]";
    char shape[TREAD_SHAPE_TEXT];
    if (x == NULL)
        return;
    if (x->tape != NULL) {
        fprintf(file, "  n%d -> n%zu%s;\n", x->node, index, style);
        return;
    }
    if (!used_before(tape, x, index, input))
        fprintf(file, "  t%p [shape=box, label=\"%s\\n%s %s\"%s];\n", (const void *)x,
                x->requires_grad ? "leaf" : "constant", tread_dtype_name(x->dtype),
                tread_shape_text(shape, x->rank, x->shape),
                x->requires_grad ? ", style=filled, fillcolor=lightgray" : "");
    fprintf(file, "  t%p -> n%zu%s;\n", (const void *)x, index, style);
}

tread_status tread_tape_write_dot(const tread_tape *tape, FILE *file) {
    TREAD_REFUSE_NULL("tape write dot", tape);
    char shape[TREAD_SHAPE_TEXT];
    errno = 0;
    fprintf(file,
            "digraph tape {\n  node [shape=ellipse, fontname=\"sans-serif\"];\n  // dashed: no gradient passes\n");
    for (size_t i = 0; i < tape->length; i++) {
        const tread_node_private *own = tread_tape_node(tape, i);
        const tread_tensor *output = own->node.output;
        fprintf(file, "  n%zu [label=\"%s\\n%s\"%s];\n", i, own->node.op->name,
                tread_shape_text(shape, output->rank, output->shape), own->node.requires_grad ? "" : ", color=gray");
        for (int k = 0; k < own->node.n_inputs; k++)
            write_input(tape, file, i, k);
    }
    fprintf(file, "}\n");
    if (fflush(file) != 0 || ferror(file))
        return tread_fail(TREAD_ERROR_IO, "tape_write_dot: cannot write: %s", strerror(errno));
    return TREAD_OK;
}
