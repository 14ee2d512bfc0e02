#include "tests/optim/helpers.h"

const char *const battery_specs[] = {
    "sgd",
    "sgd:lr=0.1,weight_decay=0.1",
    "sgd:momentum=0.9,weight_decay=0.01",
    "sgd:momentum=0.9,nesterov=true,lr=0.05",
    "sgd:momentum=0.8,dampening=0.3",
    "sgd:momentum=0.9,convention=pytorch,dampening=0.5,weight_decay=0.1",
    "sgd:momentum=0.9,convention=pytorch,nesterov=true,maximize=true",
    "adam",
    "adam:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1",
    "adam:amsgrad=true,weight_decay=0.01",
    "adam:do_bias_correction=false,maximize=true",
    "lion:lr=0.003",
    "lion:lr=0.01,betas=0.5/0.75,weight_decay=0.1,maximize=true",
    "adamw",
    "adamw:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1",
    "adamw:amsgrad=true,weight_decay=0.01",
    "adamw:do_bias_correction=false,maximize=true",
    "lamb",
    "lamb:lr=0.01,weight_decay=0.1,eps=1e-3,maximize=true",
    "lamb:lr=0.01,weight_decay=0.1,adam_w_mode=false,amsgrad=true",
    "lamb:weight_decay=0.1,decay_in_trust_ratio=true,do_bias_correction=false",
    "adamax",
    "adamax:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1,maximize=true",
    "nadam",
    "nadam:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1,momentum_decay=0.5,maximize=true",
    "radam",
    "radam:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1,maximize=true",
    "radam:lr=0.01,betas=0.9/0.9",
    "adagrad",
    "adagrad:lr=0.1,lr_decay=0.5,weight_decay=0.1,initial_accumulator_value=0.5,maximize=true",
    "adagrad:lr=0.1,eps=1e-3,eps_placement=outside",
    "rmsprop",
    "rmsprop:alpha=0.5,weight_decay=0.1,eps=1e-3,eps_placement=outside,maximize=true",
    "rmsprop:momentum=0.9,weight_decay=0.01",
    "rmsprop:momentum=0.9,convention=pytorch,eps_placement=outside,eps=1e-3",
    "rmsprop:centered=true,eps=1e-3",
    "rmsprop:centered=true,momentum=0.9,eps=1e-3",
    "rmsprop:centered=true,momentum=0.5,convention=pytorch,eps_placement=outside,eps=1e-2",
    "adadelta",
    "adadelta:lr=0.5,rho=0.5,eps=1e-3,weight_decay=0.1,maximize=true",
    "muon",
    "muon:lr=0.02,momentum=0.5,nesterov=false,weight_decay=0,maximize=true,ns_steps=3",
    "muon:rule=adamw,betas=0.5/0.75,eps=1e-3",
    "schedule_free_adamw",
    "schedule_free_adamw:lr=0.01,warmup_steps=3,r=1,weight_decay=0.1,betas=0.8/0.9,eps=1e-3",
    "schedule_free_adamw:weight_lr_power=0.5,maximize=true",
    "schedule_free_sgd:lr=0.1",
    "schedule_free_sgd:lr=0.05,momentum=0.5,warmup_steps=4,r=0.5,weight_lr_power=1,weight_decay=0.1,maximize=true",
    NULL,
};

/* A value in [-1, 1) from a hash of three numbers. */
static float noise(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu) ^ (c * 0x165667b19e3779f9u);
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 32)) * 0x94d049bb133111ebu;
    return (float)(int32_t)(h >> 40) / 8388608.0f - 1.0f;
}

float param_value(size_t parameter, int64_t i) { return noise(parameter + 1, (uint64_t)i, 77); }
float param_grad(size_t parameter, int64_t i, int64_t step) {
    return noise(parameter + 1, (uint64_t)i, (uint64_t)step) * 0.5f;
}

const tread_optimizer_type *type_of_spec(const char *spec) {
    size_t length = strcspn(spec, ":");
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const char *name = tread_optimizer_types[t]->table.name;
        if (strlen(name) == length && strncmp(name, spec, length) == 0)
            return tread_optimizer_types[t];
    }
    ck_abort_msg("%s is of no optimizer", spec);
}

static bool takes_matrices(const char *spec) {
    const tread_optimizer_type *type = type_of_spec(spec);
    const char *fields = spec + strlen(type->table.name);
    if (type->whole_tensor == NULL || type->applies_whole == NULL)
        return type->whole_tensor != NULL;
    void *options = calloc(1, type->table.size);
    tread_fields_defaults(&type->table, options);
    ck_assert_ok(tread_fields_parse(&type->table, options, fields[0] == ':' ? fields + 1 : ""));
    bool whole = type->applies_whole(options);
    free(options);
    return whole;
}

static params make_params(size_t count, const int64_t *sizes, bool matrices) {
    params p = {.count = count};
    for (size_t i = 0; i < count; i++) {
        char name[32];
        int64_t n = sizes[i], shape[2] = {n, 1}, rows = 1;
        snprintf(name, sizeof name, "p%zu", i);
        if (matrices) {
            for (int64_t r = 2; r * r <= n; r++)
                rows = n % r == 0 ? r : rows;
            shape[i % 2] = rows;
            shape[1 - i % 2] = n / rows;
        }
        p.items[i] = tread_parameter_create(name, matrices ? 2 : 1, shape);
        ck_assert_ptr_nonnull(p.items[i]);
    }
    params_set_values(&p);
    return p;
}

params params_make(size_t count, const int64_t *sizes) { return make_params(count, sizes, false); }

params params_make_for(const char *spec, size_t count, const int64_t *sizes) {
    return make_params(count, sizes, takes_matrices(spec));
}

void params_set_values(params *p) {
    for (size_t i = 0; i < p->count; i++)
        for (int64_t e = 0; e < p->items[i]->tensor.count; e++)
            param_data(p, i)[e] = param_value(i, e);
}

void params_destroy(params *p) {
    for (size_t i = 0; i < p->count; i++)
        tread_parameter_destroy(p->items[i]);
}

void params_set_grads(params *p, int64_t step, unsigned missing) {
    for (size_t i = 0; i < p->count; i++) {
        tread_tensor *x = &p->items[i]->tensor;
        for (int64_t e = 0; e < x->count; e++)
            ((float *)x->grad->data)[e] = param_grad(i, e, step);
        x->grad_state = missing >> i & 1 ? TREAD_GRAD_NONE : TREAD_GRAD_DENSE;
    }
}

void param_set_grad(tread_parameter *parameter, const float *values) {
    tread_tensor *x = &parameter->tensor;
    memcpy(x->grad->data, values, tread_tensor_bytes(x));
    x->grad_state = TREAD_GRAD_DENSE;
}

bool params_equal(const params *a, const params *b) {
    for (size_t i = 0; i < a->count; i++)
        if (memcmp(param_data(a, i), param_data(b, i), tread_tensor_bytes(&a->items[i]->tensor)) != 0)
            return false;
    return a->count == b->count;
}

tread_context *context_with_threads(int threads) {
    tread_context_options o = tread_context_defaults();
    o.threads = threads;
    tread_context *context = tread_context_create(&o);
    ck_assert_msg(context != NULL, "%s", tread_last_error());
    return context;
}

void fail_every_allocation(void *(*make)(void *data), void (*unmake)(void *data, void *made), void *data) {
    for (uint64_t k = 1;; k++) {
        uint64_t live = tread_memory_live_blocks();
        tread_memory_fail_at(k);
        void *made = make(data);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (!failed) {
            ck_assert_msg(made != NULL, "%s", tread_last_error());
            ck_assert_uint_gt(k, 1);
            unmake(data, made);
            return;
        }
        ck_assert_ptr_null(made);
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "out of memory"));
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
}

const char *text_of(FILE *file) {
    static char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    return text;
}

tread_lr_scheduler *make_scheduler(tread_optimizer *optimizer, const char *spec) {
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, spec);
    ck_assert_msg(scheduler != NULL, "%s: %s", spec, tread_last_error());
    return scheduler;
}

void destroy_run(tread_lr_scheduler *scheduler, tread_optimizer *optimizer, params *p) {
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(p);
}
