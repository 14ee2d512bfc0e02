/* How a module comes to be, takes its children in, and ends. */
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "models/module.h"

static bool earlier(const tread_named_module *children, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (children[k].module == children[i].module)
            return true;
    return false;
}

/* Names are told apart over own parameters and children, since both begin dotted names. */
static const char *name_of(const tread_parameter_shape *parameters, size_t n_parameters,
                           const tread_named_module *children, size_t i) {
    return i < n_parameters ? parameters[i].name : children[i - n_parameters].name;
}

static tread_status check_names(const char *kind, const tread_parameter_shape *parameters, size_t n_parameters,
                                const tread_named_module *children, size_t n_children) {
    for (size_t i = 0; i < n_parameters + n_children; i++) {
        const char *name = name_of(parameters, n_parameters, children, i);
        if (name == NULL || name[0] == '\0' || strchr(name, '.') != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s[%zu].name = \"%s\" is empty or has a dot", kind,
                              i < n_parameters ? "parameters" : "children", i < n_parameters ? i : i - n_parameters,
                              name != NULL ? name : "");
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, name_of(parameters, n_parameters, children, k)) == 0)
                return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the name \"%s\" is there twice", kind, name);
    }
    return TREAD_OK;
}

static tread_status check_children(const char *kind, const tread_named_module *children, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (children[i].module == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: child %zu is NULL; the last error was \"%s\"", kind, i,
                              tread_last_error());
        if (children[i].module->parent != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: child %zu (%s) is part of another module", kind, i,
                              children[i].module->type->name);
        if (earlier(children, i))
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: child %zu (%s) is there twice", kind, i,
                              children[i].module->type->name);
    }
    return TREAD_OK;
}

/* The parameters of a child get its name before theirs. */
static tread_status rename_below(const tread_module *module) {
    for (size_t i = 0; i < module->n_parameters; i++) {
        size_t size = strlen(module->name) + strlen(module->parameters[i]->name) + 2;
        char *name = tread_alloc(size, "a parameter's name");
        if (name == NULL)
            return TREAD_ERROR_MEMORY;
        snprintf(name, size, "%s.%s", module->name, module->parameters[i]->name);
        tread_free(module->parameters[i]->name);
        module->parameters[i]->name = name;
    }
    return TREAD_OK;
}

/* module's parameters begin at `first` of the model's list. */
static void place(tread_module *module, tread_parameter *const *items, size_t first) {
    module->parameters = items + first;
    module->first = first;
    first += module->n_own;
    for (size_t i = 0; i < module->n_children; i++) {
        place(module->children[i], items, first);
        first += module->children[i]->n_parameters;
    }
}

/* Own parameters are made into list[0 .. n - 1]; where that fails those made are freed. */
static bool make_own(const char *kind, const tread_parameter_shape *parameters, size_t n, tread_parameter **list) {
    for (size_t i = 0; i < n; i++) {
        list[i] = tread_parameter_create(parameters[i].name, parameters[i].rank, parameters[i].shape);
        if (list[i] == NULL) {
            (void)tread_fail_prefix(TREAD_ERROR_SHAPE, "%s: parameter \"%s\": ", kind, parameters[i].name);
            while (i-- > 0)
                tread_parameter_destroy(list[i]);
            return false;
        }
        list[i]->role = parameters[i].role;
    }
    return true;
}

/* One block for all parameters of module, the children's moved out of theirs. */
static bool make_block(tread_module *module, const tread_parameter_shape *parameters) {
    tread_parameter **list = tread_calloc(module->n_parameters, sizeof *list, "a module's list of parameters");
    bool made = list != NULL && make_own(module->type->name, parameters, module->n_own, list);
    bool done = made;
    size_t n = module->n_own;
    for (size_t i = 0; i < module->n_children && done; i++) {
        const tread_module *child = module->children[i];
        for (size_t k = 0; k < child->n_parameters; k++)
            list[n++] = child->parameters[k];
        done = rename_below(child) == TREAD_OK;
    }
    done = done && tread_parameter_block_create(list, module->n_parameters, &module->block) == TREAD_OK;
    for (size_t i = 0; i < module->n_own && made && !done; i++)
        tread_parameter_destroy(list[i]);
    tread_free(list);
    return done;
}

/* Takes the children in; from then on they are freed with module. */
static bool adopt(tread_module *module, const tread_named_module *children, size_t n) {
    for (size_t i = 0; i < n; i++) {
        tread_module *child = module->children[i] = children[i].module;
        child->parent = module;
        module->n_children++;
        module->n_parameters += child->n_parameters;
    }
    for (size_t i = 0; i < n; i++)
        if ((module->children[i]->name = tread_strdup(children[i].name)) == NULL)
            return false;
    return true;
}

static void destroy_state(const tread_module_type *type, void *state) {
    if (type != NULL && type->destroy != NULL)
        type->destroy(state);
}

/* Frees what is module's own, not its children and its block. */
static void free_shell(tread_module *module) {
    tread_free(module->children);
    tread_free(module->draws);
    tread_free(module->name);
    destroy_state(module->type, module->state);
    tread_free(module);
}

static void free_tree(tread_module *module) {
    for (size_t i = 0; i < module->n_children; i++)
        free_tree(module->children[i]);
    free_shell(module);
}

void tread_module_destroy(tread_module *module) {
    if (module == NULL || module->parent != NULL)
        return;
    tread_parameter_block_destroy(&module->block);
    free_tree(module);
}

void tread_module_destroy_all(tread_module *const *modules, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = modules[k] == modules[i];
        if (!again)
            tread_module_destroy(modules[i]);
    }
}

/* Undoes adopt() where no common block has come about: each child still has its own. */
static void disband(tread_module *module) {
    for (size_t i = 0; i < module->n_children; i++) {
        module->children[i]->parent = NULL;
        tread_module_destroy(module->children[i]);
    }
    free_shell(module);
}

/* The module without parameters and children. NULL: state stays. */
static tread_module *make_shell(tread_context *context, const tread_module_type *type, void *state, size_t n_own,
                                size_t n_children) {
    tread_module *module = tread_calloc(1, sizeof *module, "a module");
    tread_module_draw *draws = module == NULL ? NULL : tread_calloc(n_own, sizeof *draws, "a module");
    tread_module **list = draws == NULL ? NULL : tread_calloc(n_children, sizeof *list, "a module's list of children");
    if (list == NULL) {
        tread_free(draws);
        tread_free(module);
        return NULL;
    }
    *module = (tread_module){.type = type, .state = state, .context = context, .training = true, .children = list};
    module->n_own = module->n_parameters = n_own;
    module->draws = draws;
    return module;
}

static tread_status check(const tread_module_type *type, const tread_parameter_shape *parameters, size_t n_parameters,
                          const tread_named_module *children, size_t n_children) {
    if (type == NULL || type->forward == NULL || type->name == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "module: the type is NULL or lacks a name or forward");
    if ((parameters == NULL && n_parameters > 0) || (children == NULL && n_children > 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is NULL", type->name,
                          parameters == NULL && n_parameters > 0 ? "parameters" : "children");
    TREAD_TRY(check_names(type->name, parameters, n_parameters, children, n_children));
    for (size_t i = 0; i < n_parameters; i++)
        if (tread_role_name(parameters[i].role) == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: parameters[%zu].role = %d is outside [0, %d)", type->name, i,
                              (int)parameters[i].role, TREAD_ROLE_COUNT);
    return check_children(type->name, children, n_children);
}

tread_module *tread_module_create(tread_context *context, const tread_module_type *type, void *state,
                                  const tread_parameter_shape *parameters, size_t n_parameters,
                                  const tread_named_module *children, size_t n_children) {
    tread_module *module = NULL;
    if (check(type, parameters, n_parameters, children, n_children) == TREAD_OK)
        module = make_shell(context, type, state, n_parameters, n_children);
    if (module == NULL) {
        destroy_state(type, state);
        for (size_t i = 0; children != NULL && i < n_children; i++)
            if (!earlier(children, i))
                tread_module_destroy(children[i].module);
        return NULL;
    }
    if (!adopt(module, children, n_children) || !make_block(module, parameters)) {
        disband(module);
        return NULL;
    }
    for (size_t i = 0; i < n_children; i++)
        tread_parameter_block_release_arrays(&module->children[i]->block);
    place(module, module->block.items, 0);
    if (tread_module_draw_new(module, tread_context_seed(context)) != TREAD_OK) {
        tread_module_destroy(module);
        return NULL;
    }
    return module;
}
