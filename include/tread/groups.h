/* Layer: optim. Which parameters go into which group: lists split by name or by role, and optimizers made with several
 * groups at once.
 *
 *     tread_groups_options o = tread_groups_defaults();
 *     o.rules = (tread_group_rule[]){{"0.*", "lr=1e-4"}, {"*.bias", "lr=2e-3,weight_decay=0"}};
 *     o.n_rules = 2;
 *     tread_optimizer *optimizer =
 *         tread_optimizer_from_groups(NULL, tread_module_parameters(net), "adamw:lr=1e-3,weight_decay=0.01", &o);
 *
 * Patterns are globs over the whole name, as fnmatch(3) reads them without flags ("*.bias", "?.weight", "[01].*"; *
 * also stands for dots), several with commas between. A parameter without a name is called param.<index>, as in a state
 * dict. A pattern that matches nothing is an error that lists the names. */
#ifndef TREAD_GROUPS_H
#define TREAD_GROUPS_H

#include <tread/optimizers.h>

TREAD_BEGIN_DECLS

/* ---- Lists ---- */

/* A list in two, each in the order of the whole; either may be empty. Freed by the caller. */
typedef struct tread_parameter_split {
    tread_parameter_list chosen, rest;
} tread_parameter_split;
TREAD_API void tread_parameter_split_free(tread_parameter_split *split); /* the lists alone; leaves it empty */

/* Each splits params. TREAD_ERROR_ARGUMENT (an empty list, one with NULL, a pattern that is empty or matches nothing),
 * TREAD_ERROR_MEMORY: ret_split is untouched. */

/* Chosen: those that one of the patterns matches. */
TREAD_API tread_status tread_parameters_split(tread_parameter_list params, const char *patterns,
                                              tread_parameter_split *ret_split);
/* Chosen: those that weight decay is for. The rest: biases, norms, and whatever has fewer than two axes. */
TREAD_API tread_status tread_parameters_split_decay(tread_parameter_list params, tread_parameter_split *ret_split);
/* Chosen: those that Muon is for, which have two axes and TREAD_ROLE_WEIGHT. The rest: embeddings, the output layer,
 * biases, norms, and whatever has not two axes. */
TREAD_API tread_status tread_parameters_split_muon(tread_parameter_list params, tread_parameter_split *ret_split);

/* ---- Optimizers ---- */

/* The fields of those parameters that one of the patterns matches, over the optimizer's: "lr=1e-4,weight_decay=0". */
typedef struct tread_group_rule {
    const char *patterns;
    const char *fields; /* NULL or "": a group with the optimizer's own values, whose lr a program may set alone */
} tread_group_rule;

typedef struct tread_groups_options {
    size_t size;                   /* sizeof, set by tread_groups_defaults() */
    const tread_group_rule *rules; /* the first that matches a parameter decides; read during the call [NULL] */
    size_t n_rules;                /* [0] */
    bool split_decay; /* [false] weight_decay = 0 for biases, norms and whatever has fewer than two axes, unless its
                         rule gives weight_decay */
    const char *other_fields; /* of what the algorithm's own rule is not for, which only muon has: "lr=1e-3" of its
                                 AdamW [NULL: muon's own values, with lr=1e-3] */
} tread_groups_options;
TREAD_API tread_groups_options tread_groups_defaults(void);

/* tread_optimizer_from_spec() with groups: first what no rule chose, then one for each rule in order; each of them in
 * parts where weight decay or the algorithm tells parameters apart. Groups without parameters are left out, so that the
 * first rule's may be group 0; a spec's values remain those of groups added later. With muon, parameters that
 * tread_parameters_split_muon() leaves to AdamW get rule=adamw and other_fields, unless the spec or their rule gives
 * rule; every spec "muon:..." works for every model then. options NULL: the defaults. Everything is checked before the
 * optimizer exists. NULL: as tread_optimizer_from_spec(), and TREAD_ERROR_ARGUMENT (a pattern that matches nothing, a
 * rule whose parameters all belong to earlier ones, other_fields for an algorithm without). */
TREAD_API tread_optimizer *tread_optimizer_from_groups(const tread_context *context, tread_parameter_list params,
                                                       const char *spec, const tread_groups_options *options);

/* The same from structs, for Muon: what it is for by muon, the rest by adamw, whose rule is not looked at (NULL: the
 * defaults of each, lr = 1e-3). NULL: as tread_muon(). */
TREAD_API tread_optimizer *tread_muon_with_adamw(const tread_context *context, tread_parameter_list params,
                                                 const tread_muon_options *muon, const tread_muon_options *adamw);

TREAD_END_DECLS

#endif
