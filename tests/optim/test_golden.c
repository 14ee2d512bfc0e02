/* Every optimizer against its golden trajectories: settings, two groups whose rate changes on the way, parameters of 1,
 * 7, 1000 and other sizes, with gradients always, late, at times, never, and of zeros, at steps 1, 5 and 20.
 *
 * The tolerance stands in the files, for each element: the bound on the error of float32 arithmetic that follows from
 * the formula (tests/golden/rounded.py derives it: each operation's operands pass on their errors, and its result is
 * rounded by at most 2^-24 of it). Where elements are mixed by matrix products it is on the norm of a parameter's
 * error. */
#include "tests/optim/coverage.h"
#include "tests/optim/golden.h"
#include "tests/optim/helpers.h"

static golden golden_of(const char *name) {
    size_t n;
    golden g;
    void *bytes = golden_load(name, &n);
    ck_assert_msg(bytes != NULL, "%s: there is no golden file; tests/golden/optimizers.py makes them", name);
    const char *error = golden_parse(bytes, n, &g);
    ck_assert_msg(error == NULL, "%s.golden: %s", name, error);
    free(bytes);
    return g;
}

static params make_params(const golden_setting *s) {
    params p = {.count = s->n_parameters};
    for (size_t i = 0; i < p.count; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%zu", i);
        p.items[i] = tread_parameter_create(name, (int)s->parameters[i].rank, s->parameters[i].shape);
        ck_assert_msg(p.items[i] != NULL, "%s", tread_last_error());
    }
    params_set_values(&p);
    return p;
}

static tread_optimizer *make_optimizer(const golden_setting *s, const params *p) {
    tread_optimizer *optimizer = NULL;
    for (size_t i = 0, end; i < p->count; i = end) {
        uint32_t group = s->parameters[i].group;
        for (end = i; end < p->count && s->parameters[end].group == group; end++)
            ;
        tread_parameter_list list = params_part(p, i, end - i);
        if (optimizer == NULL)
            optimizer = tread_optimizer_from_spec(NULL, list, s->specs[group]);
        else
            ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, list, s->specs[group]));
        ck_assert_msg(optimizer != NULL, "%s: %s", s->specs[group], tread_last_error());
    }
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), s->n_groups);
    return optimizer;
}

static void set_gradients(const golden_setting *s, params *p, uint32_t step) {
    params_set_grads(p, step, 0);
    for (size_t i = 0; i < p->count; i++)
        if (s->gradient[step - 1][i] != GOLDEN_NOISE)
            tread_tensor_zero_grad(&p->items[i]->tensor, s->gradient[step - 1][i] == GOLDEN_NONE);
}

static void compare(const golden_setting *s, const params *p, const golden_snapshot *snapshot) {
    for (size_t i = 0; i < p->count; i++) {
        const golden_values *expected = &snapshot->parameters[i];
        double squares = 0;
        for (int64_t e = 0; e < s->parameters[i].n; e++) {
            double got = param_data(p, i)[e], off = fabs(got - expected->value[e]);
            squares += off * off;
            if (!expected->of_norm && !(off <= expected->bound[e]))
                ck_abort_msg("%s, group '%s', step %u%s: parameter %zu [%d] is %.9g, not %.9g within %.2g", s->specs[0],
                             s->specs[s->parameters[i].group], snapshot->step,
                             snapshot->evaluation ? " in evaluation mode" : "", i, (int)e, got, expected->value[e],
                             expected->bound[e]);
        }
        if (expected->of_norm && !(sqrt(squares) <= expected->bound[0]))
            ck_abort_msg("%s, group '%s', step %u: parameter %zu is off by %.3g, not within %.2g", s->specs[0],
                         s->specs[s->parameters[i].group], snapshot->step, i, sqrt(squares), expected->bound[0]);
    }
}

static void run(const golden_setting *s, coverage *covered) {
    params p = make_params(s);
    tread_optimizer *optimizer = make_optimizer(s, &p);
    for (size_t g = 0; g < s->n_groups; g++)
        coverage_add(covered, optimizer->groups[g].options);
    for (uint32_t step = 1, next = 0; step <= s->n_steps; step++) {
        for (size_t g = 0; g < s->n_groups; g++)
            ck_assert_ok(tread_optimizer_set(optimizer, g, "lr", s->lr[step - 1][g]));
        set_gradients(s, &p, step);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (; next < s->n_snapshots && s->snapshots[next].step == step; next++) {
            ck_assert_ok(tread_optimizer_set_training(optimizer, !s->snapshots[next].evaluation));
            compare(s, &p, &s->snapshots[next]);
        }
        ck_assert(step < s->n_steps || next == s->n_snapshots);
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(trajectories_are_golden) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const tread_optimizer_type *type = tread_optimizer_types[t];
        if (type->solve != NULL) /* it asks for gradients where it likes: no trajectory can be given */
            continue;
        golden g = golden_of(type->table.name);
        coverage covered = {.table = &type->table};
        ck_assert_msg(g.n_settings >= 6, "%s: %u settings", type->table.name, g.n_settings);
        for (uint32_t i = 0; i < g.n_settings; i++) {
            size_t length = strlen(type->table.name);
            const char *spec = g.settings[i].specs[0];
            ck_assert(strncmp(spec, type->table.name, length) == 0 && (spec[length] == ':' || spec[length] == '\0'));
            run(&g.settings[i], &covered);
        }
        ck_assert_msg(coverage_gap(&covered, true) == NULL, "%s: no golden setting has another %s", type->table.name,
                      coverage_gap(&covered, true));
        golden_free(&g);
    }
}
END_TEST

/* The files' shape is what the issue asks of it: sizes, steps, and every kind of gradient. */
START_TEST(trajectories_hold_what_they_should) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        if (tread_optimizer_types[t]->solve != NULL)
            continue;
        golden g = golden_of(tread_optimizer_types[t]->table.name);
        for (uint32_t i = 0; i < g.n_settings; i++) {
            const golden_setting *s = &g.settings[i];
            unsigned sizes = 0, kinds = 0, steps = 0, late = 0;
            ck_assert(s->n_groups >= 2 && s->n_steps == 20);
            for (uint32_t p = 0; p < s->n_parameters; p++) {
                int64_t n = s->parameters[p].n;
                sizes |= n == 1 ? 1 : n == 7 ? 2 : n == 1000 ? 4 : 0;
                uint32_t first = 0;
                while (first < s->n_steps && s->gradient[first][p] == GOLDEN_NONE)
                    first++;
                late |= first > 0 && first < s->n_steps;
                for (uint32_t step = first; step < s->n_steps; step++)
                    kinds |= 1u << s->gradient[step][p];
            }
            for (uint32_t k = 0; k < s->n_snapshots; k++)
                steps |= 1u << s->snapshots[k].step;
            ck_assert_uint_eq(sizes, 7);
            ck_assert_uint_eq(kinds, 1u << GOLDEN_NONE | 1u << GOLDEN_NOISE | 1u << GOLDEN_ZEROS);
            ck_assert_uint_eq(steps, 1u << 1 | 1u << 5 | 1u << 20);
            ck_assert_uint_eq(late, 1);
        }
        golden_free(&g);
    }
}
END_TEST

START_TEST(damaged_files_are_refused) {
    size_t n;
    unsigned char *bytes = golden_load("sgd", &n);
    golden g;
    ck_assert_ptr_nonnull(bytes);
    for (size_t length = 0; length < n; length += length < 700 ? 1 : 997)
        ck_assert_str_eq(golden_parse(bytes, length, &g), "the file is cut short");
    static const struct {
        size_t at;
        unsigned char byte;
        const char *error;
    } damage[] = {
        {0, 'X', "it is no golden file"},
        {8, 2, "it is of another version"},
        {13, 99, "the count of settings is out of range"},
        {16, 99, "the count of groups is out of range"},
        {21, 2, "a spec is too long"},
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        unsigned char before = bytes[damage[i].at];
        bytes[damage[i].at] = damage[i].byte;
        const char *error = golden_parse(bytes, n, &g);
        ck_assert_msg(error != NULL && strcmp(error, damage[i].error) == 0, "%s", error);
        bytes[damage[i].at] = before;
    }
    for (size_t at = 0; at < 700; at++) { /* whatever stands there, it is read within the file or refused */
        unsigned char before = bytes[at];
        bytes[at] ^= (unsigned char)(1u << at % 8 | 0x80);
        if (golden_parse(bytes, n, &g) == NULL)
            golden_free(&g);
        bytes[at] = before;
    }
    free(bytes);
    ck_assert_ptr_null(golden_load("no_such_optimizer", &n));
}
END_TEST

TEST_MAIN("golden", trajectories_are_golden, trajectories_hold_what_they_should, damaged_files_are_refused)
