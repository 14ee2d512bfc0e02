#include "cli/groups.h"

#include <stdio.h>
#include <string.h>

static bool read_rule(const cli_command *command, const char *text, char *ret_patterns, size_t size,
                      tread_group_rule *ret_rule) {
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text)
        return cli_misuse(command, "--group: %s is not PATTERNS:key=value,..., such as '*.bias:lr=1e-4'", text), false;
    if ((size_t)(colon - text) >= size)
        return cli_misuse(command, "--group: the patterns of %s have more than %zu bytes", text, size - 1), false;
    snprintf(ret_patterns, size, "%.*s", (int)(colon - text), text);
    *ret_rule = (tread_group_rule){ret_patterns, colon + 1};
    return true;
}

/* The sentence about a rule that was tried alone, for any parameter, without the name it had there. */
static const char *last_error_of_trial(void) {
    static const char trial[] = "rule 1 ('*'): ";
    const char *sentence = tread_last_error();
    return strncmp(sentence, trial, sizeof trial - 1) == 0 ? sentence + sizeof trial - 1 : sentence;
}

/* Whether the optimizer takes these options for a matrix. */
static bool try(const tread_context *context, const char *optimizer, const tread_groups_options *options,
                tread_parameter_role role) {
    tread_parameter *matrix = tread_parameter_create("matrix", 2, (const int64_t[]){2, 2});
    tread_optimizer *made = NULL;
    if (matrix != NULL && tread_parameter_set_role(matrix, role) == TREAD_OK)
        made = tread_optimizer_from_groups(context, (tread_parameter_list){&matrix, 1}, optimizer, options);
    tread_optimizer_destroy(made);
    tread_parameter_destroy(matrix);
    return made != NULL;
}

bool cli_groups_read(const cli_command *command, const tread_context *context, const char *optimizer,
                     const cli_groups_options *options, cli_groups *ret_groups) {
    tread_groups_options *o = &ret_groups->options;
    *o = tread_groups_defaults();
    o->split_decay = options->split_decay;
    o->other_fields = options->adamw;
    if (!try(context, optimizer, o, TREAD_ROLE_BIAS))
        return cli_misuse(command, "--%s: %s", options->adamw != NULL ? "adamw" : "split-decay", tread_last_error()),
               false;
    o->rules = ret_groups->rules;
    for (size_t i = 0; i < options->rules.count; i++) {
        tread_group_rule *rule = &ret_groups->rules[i];
        if (!read_rule(command, options->rules.values[i], ret_groups->patterns[i], sizeof ret_groups->patterns[i],
                       rule))
            return false;
        tread_groups_options alone = *o;
        alone.rules = &(tread_group_rule){"*", rule->fields};
        alone.n_rules = 1;
        if (!try(context, optimizer, &alone, TREAD_ROLE_WEIGHT))
            return cli_misuse(command, "--group: %s: %s", options->rules.values[i], last_error_of_trial()), false;
    }
    o->n_rules = options->rules.count;
    return true;
}
