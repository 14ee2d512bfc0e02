/* Layer: cli. The options of train that put parameters into groups. */
#ifndef TREAD_CLI_GROUPS_H
#define TREAD_CLI_GROUPS_H

#include <tread/groups.h>

#include "cli/options.h"

typedef struct cli_groups_options {
    cli_texts rules; /* "PATTERNS:key=value,..." */
    bool split_decay;
    const char *adamw; /* NULL: not given */
    bool show;
} cli_groups_options;

/* Their entries in a subcommand's table, whose options struct has them as member. */
#define CLI_GROUPS_OPTIONS(type, member)                                                                               \
    {.name = "group",                                                                                                  \
     .value = "PATTERNS:key=value,...",                                                                                \
     .doc = "fields of the parameters whose names match one of the patterns,\n"                                        \
            "globs with commas between, such as '*.bias:lr=1e-4,weight_decay=0';\n"                                    \
            "may be given several times: the first that matches decides",                                              \
     .kind = CLI_TEXTS,                                                                                                \
     .offset = offsetof(type, member.rules)},                                                                          \
        {.name = "split-decay",                                                                                        \
         .doc = "weight_decay for weights alone: none for biases and norms,\nunless their --group gives it",           \
         .kind = CLI_SWITCH,                                                                                           \
         .offset = offsetof(type, member.split_decay)},                                                                \
        {.name = "show-groups",                                                                                        \
         .doc = "print the optimizer's groups, their fields and parameters, before it starts",                         \
         .kind = CLI_SWITCH,                                                                                           \
         .offset = offsetof(type, member.show)},                                                                       \
    {                                                                                                                  \
        .name = "adamw", .value = "key=value,...",                                                                     \
        .doc = "with muon: fields of what it leaves to AdamW, which are biases,\n"                                     \
               "norms, embeddings and the output layer [lr=1e-3]",                                                     \
        .kind = CLI_TEXT, .offset = offsetof(type, member.adamw)                                                       \
    }

typedef struct cli_groups {
    char patterns[CLI_MAX_TEXTS][256];
    tread_group_rule rules[CLI_MAX_TEXTS];
    tread_groups_options options; /* its rules are those above: not to be moved */
} cli_groups;

/* Reads the options, and has the library judge them with the optimizer's spec, which is good, before there is a model:
 * all but whether the patterns match. False where one is refused; the reason is on standard error then. */
bool cli_groups_read(const cli_command *command, const tread_context *context, const char *optimizer,
                     const cli_groups_options *options, cli_groups *ret_groups);

#endif
