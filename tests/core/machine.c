#include "tests/core/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

char machine_root[64];

void machine_begin(void) {
    strcpy(machine_root, P_tmpdir "/tread-topology-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(machine_root));
}

void machine_end(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", machine_root);
    ck_assert_int_eq(system(command), 0);
}

void machine_put(const char *path, const char *text) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", machine_root, path);
    for (char *at = strchr(name + strlen(machine_root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(name, 0777);
        *at = '/';
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}
