#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topology.h"

#define LINE_BYTES 4096

/* A hierarchy that limits CPU time or memory: where it is mounted, which group is mounted there, and which group we are
 * in. */
typedef struct hierarchy {
    char mount[LINE_BYTES];
    char mounted[LINE_BYTES];
    char group[LINE_BYTES];
} hierarchy;

static FILE *open_under(const char *root, const char *path) {
    char name[3 * LINE_BYTES];
    int length = snprintf(name, sizeof name, "%s%s", root, path);
    return length > 0 && (size_t)length < sizeof name ? fopen(name, "re") : NULL;
}

/* Whether the comma-separated list holds word. */
static int list_has(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return 1;
    }
    return 0;
}

/* /proc/self/cgroup has lines "id:controllers:group"; in v2 the id is 0 and there are no controllers. */
static int find_group(const char *root, int version, const char *controller, hierarchy *h) {
    FILE *file = open_under(root, "/proc/self/cgroup");
    char line[LINE_BYTES];
    int found = 0;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *controllers++ = *group++ = '\0';
        found = version == 2 ? *controllers == '\0' : list_has(controllers, controller);
        if (found)
            memcpy(h->group, group, strlen(group) + 1);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* /proc/self/mountinfo: "36 35 98:0 /mounted /mount options [optional fields] - type source super-options". */
static int find_mount(const char *root, int version, const char *controller, hierarchy *h) {
    FILE *file = open_under(root, "/proc/self/mountinfo");
    char line[LINE_BYTES], type[64], super[LINE_BYTES];
    int found = 0;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *tail = strstr(line, " - ");
        if (tail == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", h->mounted, h->mount) != 2 ||
            sscanf(tail, " - %63s %*s %4095s", type, super) != 2)
            continue;
        found =
            version == 2 ? strcmp(type, "cgroup2") == 0 : strcmp(type, "cgroup") == 0 && list_has(super, controller);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* The limit of one folder in CPUs, 0 or less for none. */
static double read_limit(const char *root, const char *folder, int version) {
    char path[3 * LINE_BYTES], text[64];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/%s", folder, version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
    FILE *file = open_under(root, path);
    if (file == NULL)
        return 0;
    int n = version == 2 ? fscanf(file, "%63s %lf", text, &period) : fscanf(file, "%63s", text); /* "max 100000" */
    fclose(file);
    if (version == 1) {
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if ((file = open_under(root, path)) == NULL)
            return 0;
        n += fscanf(file, "%lf", &period);
        fclose(file);
    }
    if (n == 2)
        quota = strtod(text, NULL); /* "max" gives 0, v1's "none" is -1 */
    return period > 0 ? quota / period : 0;
}

/* Calls visit with each folder of a controller, from our group's up to the one that is mounted, until it gives 0. */
typedef int visit_fn(void *data, const char *root, const char *folder, int version);
static void walk(const char *root, int version, const char *controller, visit_fn *visit, void *data) {
    hierarchy h;
    if (!find_group(root, version, controller, &h) || !find_mount(root, version, controller, &h))
        return;
    /* In a container the group may be named from the host's root, which is mounted here as "/mounted". */
    size_t skip = strcmp(h.mounted, "/") == 0 ? 0 : strlen(h.mounted);
    int below = strncmp(h.group, h.mounted, skip) == 0 && (h.group[skip] == '/' || h.group[skip] == '\0');
    char folder[2 * LINE_BYTES];
    size_t mount_length = strlen(h.mount);
    snprintf(folder, sizeof folder, "%s%s", h.mount, below && strcmp(h.group + skip, "/") != 0 ? h.group + skip : "");
    while (visit(data, root, folder, version)) {
        char *cut = strrchr(folder, '/');
        if (cut == NULL || (size_t)(cut - folder) < mount_length)
            return;
        *cut = '\0';
    }
}

static int take_least_limit(void *data, const char *root, const char *folder, int version) {
    double *least = data, limit = read_limit(root, folder, version);
    if (limit > 0 && (*least == 0 || limit < *least))
        *least = limit;
    return 1;
}

double tread_cgroup_quota(const char *root) {
    double v2 = 0, v1 = 0;
    walk(root, 2, "cpu", take_least_limit, &v2);
    walk(root, 1, "cpu", take_least_limit, &v1);
    return v1 > 0 && (v2 == 0 || v1 < v2) ? v1 : v2;
}

/* The number behind a key in a file of lines "key number"; false where there is none. */
static bool read_key(const char *root, const char *folder, const char *name, const char *key, double *ret_value) {
    char path[3 * LINE_BYTES], word[64];
    double value;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = open_under(root, path);
    bool found = false;
    while (file != NULL && !found && fscanf(file, "%63s %lf%*[^\n]", word, &value) == 2)
        found = strcmp(word, key) == 0;
    if (file != NULL)
        fclose(file);
    if (found)
        *ret_value = value;
    return found;
}

/* A file's one number, which may be "max". */
static bool read_bytes(const char *root, const char *folder, const char *name, double *ret_bytes) {
    char path[3 * LINE_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = open_under(root, path);
    bool found = file != NULL && fscanf(file, "%lf", ret_bytes) == 1;
    if (file != NULL)
        fclose(file);
    return found;
}

/* Each group above us may be stopped by a quota of its own. */
static int take_throttling(void *data, const char *root, const char *folder, int version) {
    tread_throttling *t = data;
    double periods, time;
    if (!read_key(root, folder, "cpu.stat", "nr_throttled", &periods) ||
        !read_key(root, folder, "cpu.stat", version == 2 ? "throttled_usec" : "throttled_time", &time))
        return 1;
    t->known = true;
    t->periods += periods;
    t->seconds += time * (version == 2 ? 1e-6 : 1e-9);
    return 1;
}

tread_throttling tread_cgroup_throttling(const char *root) {
    tread_throttling t = {.known = false};
    walk(root, 2, "cpu", take_throttling, &t);
    walk(root, 1, "cpu", take_throttling, &t);
    return t;
}

/* What a group may still take: its limit less what it uses, but for files that the kernel would drop. */
static int take_least_memory(void *data, const char *root, const char *folder, int version) {
    double *least = data, limit, used, files = 0;
    if (!read_bytes(root, folder, version == 2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !read_bytes(root, folder, version == 2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return 1;
    read_key(root, folder, "memory.stat", version == 2 ? "inactive_file" : "total_inactive_file", &files);
    double left = limit - used + files;
    if (left < *least)
        *least = left > 0 ? left : 0;
    return 1;
}

double tread_memory_available(const char *root) {
    double kibi, least = read_key(root, "/proc", "meminfo", "MemAvailable:", &kibi) ? 1024 * kibi : INFINITY;
    walk(root, 2, "memory", take_least_memory, &least);
    walk(root, 1, "memory", take_least_memory, &least);
    return least;
}
