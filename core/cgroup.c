#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topology.h"

#define LINE_BYTES 4096

/* A hierarchy that limits CPU time: where it is mounted, which group is mounted there, and which group we are in. */
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
static int find_group(const char *root, int version, hierarchy *h) {
    FILE *file = open_under(root, "/proc/self/cgroup");
    char line[LINE_BYTES];
    int found = 0;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *controllers++ = *group++ = '\0';
        found = version == 2 ? *controllers == '\0' : list_has(controllers, "cpu");
        if (found)
            memcpy(h->group, group, strlen(group) + 1);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* /proc/self/mountinfo: "36 35 98:0 /mounted /mount options [optional fields] - type source super-options". */
static int find_mount(const char *root, int version, hierarchy *h) {
    FILE *file = open_under(root, "/proc/self/mountinfo");
    char line[LINE_BYTES], type[64], super[LINE_BYTES];
    int found = 0;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *tail = strstr(line, " - ");
        if (tail == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", h->mounted, h->mount) != 2 ||
            sscanf(tail, " - %63s %*s %4095s", type, super) != 2)
            continue;
        found = version == 2 ? strcmp(type, "cgroup2") == 0 : strcmp(type, "cgroup") == 0 && list_has(super, "cpu");
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

/* The least limit from our group up to the one that is mounted. */
static double least_limit(const char *root, int version, hierarchy *h) {
    if (!find_group(root, version, h) || !find_mount(root, version, h))
        return 0;
    /* In a container the group may be named from the host's root, which is mounted here as "/mounted". */
    size_t skip = strcmp(h->mounted, "/") == 0 ? 0 : strlen(h->mounted);
    int below = strncmp(h->group, h->mounted, skip) == 0 && (h->group[skip] == '/' || h->group[skip] == '\0');
    char folder[2 * LINE_BYTES];
    size_t mount_length = strlen(h->mount);
    snprintf(folder, sizeof folder, "%s%s", h->mount, below ? h->group + skip : "");
    double least = 0;
    for (;;) {
        double limit = read_limit(root, folder, version);
        if (limit > 0 && (least == 0 || limit < least))
            least = limit;
        char *cut = strrchr(folder, '/');
        if (cut == NULL || (size_t)(cut - folder) < mount_length)
            return least;
        *cut = '\0';
    }
}

double tread_cgroup_quota(const char *root) {
    hierarchy h;
    double v2 = least_limit(root, 2, &h), v1 = least_limit(root, 1, &h);
    return v1 > 0 && (v2 == 0 || v1 < v2) ? v1 : v2;
}
