#include "engine/profile/bound.h"

#include <math.h>
#include <stddef.h>

tread_profile_bound tread_bound_of(const tread_bound_figures *f) {
    if (isnan(f->step + f->fork + f->traffic + f->arithmetic + f->rmw_rate + f->memory_rate))
        return TREAD_BOUND_UNKNOWN;
    if (f->threads > 1) {
        const double shared = isnan(f->alone) ? f->step : fmin(f->step, f->alone / f->threads);
        if (f->fork >= TREAD_BOUND_FORK_SHARE * shared)
            return TREAD_BOUND_FORK;
    }
    if (fmax(f->traffic, f->arithmetic) + f->fork < TREAD_BOUND_EXPLAINED * f->step)
        return TREAD_BOUND_OTHER;
    if (f->arithmetic > TREAD_BOUND_SLOWER * f->traffic)
        return TREAD_BOUND_ARITHMETIC;
    return f->rmw_rate >= TREAD_BOUND_CACHE_RATE * f->memory_rate ? TREAD_BOUND_CACHE : TREAD_BOUND_MEMORY;
}

const char *tread_profile_bound_name(tread_profile_bound bound) {
    switch (bound) {
    case TREAD_BOUND_UNKNOWN: return "unknown";
    case TREAD_BOUND_MEMORY: return "memory";
    case TREAD_BOUND_CACHE: return "cache";
    case TREAD_BOUND_ARITHMETIC: return "arithmetic";
    case TREAD_BOUND_FORK: return "fork";
    case TREAD_BOUND_OTHER: return "other";
    case TREAD_BOUND_ONE_THREAD: return "one thread";
    }
    return NULL;
}
