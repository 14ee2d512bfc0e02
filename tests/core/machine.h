/* Layer: tests. A made-up machine: a folder with the files that a kernel would show. */
#ifndef TREAD_TESTS_CORE_MACHINE_H
#define TREAD_TESTS_CORE_MACHINE_H

/* Stands before every path. */
extern char machine_root[64];

void machine_begin(void);
void machine_end(void);
void machine_put(const char *path, const char *text); /* makes the folders too */

/* Lines of /proc/self/mountinfo. */
#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER_MOUNT "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"

#endif
