#include "engine/profile/step_traffic.h"

#define SLOTS_READ_AGAIN 2

static bool is_counted(const tread_optimizer_type *type, const void *options) {
    return type->solve == NULL &&
           !(type->whole_tensor != NULL && (type->applies_whole == NULL || type->applies_whole(options)));
}

tread_step_traffic tread_step_traffic_of(const tread_optimizer_type *type, const void *options) {
    tread_step_traffic t = {.n_passes = 0};
    int slots = 0;
    for (int s = 0; s < type->n_slots; s++)
        slots += tread_slot_is_needed(&type->slots[s], options);
    t.arrays = 2 + slots;
    if (!is_counted(type, options))
        return t;
    if (type->reduce != NULL) {
        t.passes[t.n_passes++] = (tread_traffic){.changed = slots, .read = 2};
        t.passes[t.n_passes++] = (tread_traffic){.changed = 1, .read = SLOTS_READ_AGAIN};
    } else {
        t.passes[t.n_passes++] = (tread_traffic){.changed = 1 + slots, .read = 1};
    }
    for (int i = 0; i < t.n_passes; i++)
        t.bytes += (int)sizeof(float) * (2 * t.passes[i].changed + t.passes[i].read);
    return t;
}
