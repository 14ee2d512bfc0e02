#include "tests/engine/crash_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/file_system.h"

enum { MAX_OPERATIONS = 4096, MAX_FDS = 1024, MAX_FILES = 512, MAX_ENTRIES = 64, NAME_BYTES = 96, BLOCK = 64 };

typedef enum kind { CREATE, RESERVE, WRITE, SYNC_FILE, RENAME, LINK, UNLINK, SYNC_FOLDER, MARK } kind;
static const char *const kind_names[] = {
    "create", "reserve", "write", "fsync", "rename", "link", "unlink", "fsync of the folder", "mark"};

typedef struct operation {
    kind kind;
    int file;                              /* CREATE to SYNC_FILE: a number; MARK: the mark */
    char name[NAME_BYTES], to[NAME_BYTES]; /* CREATE, UNLINK: name; RENAME, LINK: both */
    size_t offset, n;
    uint8_t *bytes;
} operation;

static operation operations[MAX_OPERATIONS];
static int n_operations, n_files;
static int version; /* of the record */
static char folder[512];
static bool with_links;

#define THE_FOLDER (-2)
static struct {
    int file; /* -1: not ours */
    size_t offset;
} open_files[MAX_FDS];

/* --- The recorder --- */

#define REAL tread_file_system_default

static void must(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "crash_disk: %s\n", what);
        abort();
    }
}

static operation *note(kind what, int file) {
    must(n_operations < MAX_OPERATIONS, "too many operations");
    operation *o = &operations[n_operations++];
    *o = (operation){.kind = what, .file = file};
    return o;
}

/* The name in the folder; NULL for paths elsewhere and for names with a dot in front. */
static const char *name_of(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/' && path[length + 1] != '.' &&
                   path[length + 1] != '\0'
               ? path + length + 1
               : NULL;
}

static void copy_name(char to[NAME_BYTES], const char *path) {
    must(name_of(path) != NULL && strlen(name_of(path)) < NAME_BYTES, path);
    snprintf(to, NAME_BYTES, "%s", name_of(path));
}

static int record_open(const char *path, int flags, mode_t mode) {
    int fd = REAL.open(path, flags, mode);
    size_t length = strlen(folder);
    if (fd < 0)
        return fd;
    must(fd < MAX_FDS, "too many descriptors");
    open_files[fd].file = -1;
    if (strncmp(path, folder, length) == 0 && (path[length] == '\0' || strcmp(path + length, "/") == 0))
        open_files[fd].file = THE_FOLDER;
    if (name_of(path) != NULL && (flags & O_CREAT) != 0) {
        must((flags & O_EXCL) != 0 && n_files < MAX_FILES, "a file created otherwise than known here");
        open_files[fd].file = n_files++;
        open_files[fd].offset = 0;
        copy_name(note(CREATE, open_files[fd].file)->name, path);
    }
    return fd;
}

static ssize_t record_write(int fd, const void *data, size_t n) {
    ssize_t written = REAL.write(fd, data, n);
    if (written > 0 && open_files[fd].file >= 0) {
        operation *o = note(WRITE, open_files[fd].file);
        o->offset = open_files[fd].offset;
        o->n = (size_t)written;
        o->bytes = malloc(o->n);
        must(o->bytes != NULL, "memory");
        memcpy(o->bytes, data, o->n);
        open_files[fd].offset += o->n;
    }
    return written;
}

static int record_fallocate(int fd, off_t n) {
    int result = REAL.fallocate(fd, n);
    if (result == 0 && open_files[fd].file >= 0)
        note(RESERVE, open_files[fd].file)->n = (size_t)n;
    return result;
}

/* The disk is the model's: no need to wait for the real one. */
static int record_fsync(int fd) {
    if (open_files[fd].file >= 0)
        note(SYNC_FILE, open_files[fd].file);
    if (open_files[fd].file == THE_FOLDER)
        note(SYNC_FOLDER, 0);
    return 0;
}

static int record_close(int fd) {
    open_files[fd].file = -1;
    return REAL.close(fd);
}

static int record_two(kind what, int result, const char *from, const char *to) {
    if (result == 0 && name_of(to) != NULL) {
        operation *o = note(what, 0);
        copy_name(o->name, from);
        copy_name(o->to, to);
    }
    return result;
}

static int record_rename(const char *from, const char *to) {
    return record_two(RENAME, REAL.rename(from, to), from, to);
}

static int record_link(const char *from, const char *to) {
    if (!with_links)
        return errno = EPERM, -1;
    return record_two(LINK, REAL.link(from, to), from, to);
}

static int record_unlink(const char *path) {
    int result = REAL.unlink(path);
    if (result == 0 && name_of(path) != NULL)
        copy_name(note(UNLINK, 0)->name, path);
    return result;
}

static tread_file_system recorder;

void crash_record(const char *in, bool links) {
    crash_forget();
    snprintf(folder, sizeof folder, "%s", in);
    with_links = links;
    for (int i = 0; i < MAX_FDS; i++)
        open_files[i].file = -1;
    recorder = tread_file_system_default;
    recorder.open = record_open;
    recorder.write = record_write;
    recorder.fallocate = record_fallocate;
    recorder.fsync = record_fsync;
    recorder.close = record_close;
    recorder.rename = record_rename;
    recorder.link = record_link;
    recorder.unlink = record_unlink;
    tread_file_system_set(&recorder);
}

void crash_mark(int mark) { note(MARK, mark); }
void crash_record_end(void) { tread_file_system_set(NULL); }

void crash_forget(void) {
    for (int i = 0; i < n_operations; i++)
        free(operations[i].bytes);
    n_operations = n_files = 0;
    version++;
}

static void drop(kind what) {
    int n = 0;
    for (int i = 0; i < n_operations; i++)
        if (operations[i].kind != what)
            operations[n++] = operations[i];
    n_operations = n;
    version++;
}

void crash_drop_file_syncs(void) { drop(SYNC_FILE); }
void crash_drop_folder_syncs(void) { drop(SYNC_FOLDER); }

/* --- The model --- */

int crash_operations(void) {
    int n = 0;
    for (int i = 0; i < n_operations; i++)
        n += operations[i].kind != MARK;
    return n;
}

/* Index in the record of what follows the first p operations and the marks right behind them. */
static int index_after(int p) {
    int i = 0;
    for (int n = 0; i < n_operations && (n < p || operations[i].kind == MARK); i++)
        n += operations[i].kind != MARK;
    return i;
}

int crash_last_mark(int p, int *ret_next) {
    int last = -1, end = index_after(p);
    *ret_next = -1;
    for (int i = 0; i < end; i++)
        last = operations[i].kind == MARK ? operations[i].file : last;
    for (int i = end; i < n_operations && *ret_next < 0; i++)
        *ret_next = operations[i].kind == MARK ? operations[i].file : -1;
    return last;
}

typedef struct entry {
    char name[NAME_BYTES];
    int file;
} entry;

typedef struct directory {
    entry entries[MAX_ENTRIES];
    int n;
} directory;

static int find(const directory *d, const char *name) {
    for (int i = 0; i < d->n; i++)
        if (strcmp(d->entries[i].name, name) == 0)
            return i;
    return -1;
}

/* file -1: the name goes. */
static void set(directory *d, const char *name, int file) {
    int i = find(d, name);
    if (file < 0) {
        if (i >= 0)
            d->entries[i] = d->entries[--d->n];
        return;
    }
    if (i < 0) {
        must(d->n < MAX_ENTRIES, "too many names");
        i = d->n++;
    }
    snprintf(d->entries[i].name, NAME_BYTES, "%s", name);
    d->entries[i].file = file;
}

typedef struct change {
    char name[NAME_BYTES];
    int file; /* -1: goes */
} change;

/* All that is known of the disk after a number of operations. */
typedef struct disk {
    directory lasting, running; /* on disk for sure, and as the program sees it */
    change changes[MAX_ENTRIES];
    int n_changes;
    int end;                     /* index in the record */
    int synced_until[MAX_FILES]; /* index in the record: writes before it last */
    bool dirty[MAX_FILES];
} disk;

static void change_name(disk *d, const char *name, int file) {
    must(d->n_changes < MAX_ENTRIES, "too many changes of names");
    snprintf(d->changes[d->n_changes].name, NAME_BYTES, "%s", name);
    d->changes[d->n_changes++].file = file;
    set(&d->running, name, file);
}

static void apply(disk *d, int i) {
    const operation *o = &operations[i];
    int from = o->kind == RENAME || o->kind == LINK ? find(&d->running, o->name) : -1;
    int file = from >= 0 ? d->running.entries[from].file : -1;
    switch (o->kind) {
    case CREATE: change_name(d, o->name, o->file); break;
    case RESERVE:
    case WRITE: d->dirty[o->file] = true; break;
    case SYNC_FILE:
        d->dirty[o->file] = false;
        d->synced_until[o->file] = i;
        break;
    case RENAME:
        must(file >= 0, "a rename of what is not there");
        change_name(d, o->to, file);
        change_name(d, o->name, -1);
        break;
    case LINK:
        must(file >= 0, "a link to what is not there");
        change_name(d, o->to, file);
        break;
    case UNLINK: change_name(d, o->name, -1); break;
    case SYNC_FOLDER:
        d->lasting = d->running;
        d->n_changes = 0;
        break;
    case MARK: break;
    }
}

static disk *disk_after(int p) {
    static disk d; /* that of the last p is often asked for again */
    static int last_p = -1, last_version = -1;
    if (p == last_p && last_version == version)
        return &d;
    memset(&d, 0, sizeof d);
    d.end = index_after(p);
    for (int i = 0; i < d.end; i++)
        apply(&d, i);
    last_p = p;
    last_version = version;
    return &d;
}

crash_state crash_after(int p) {
    const disk *d = disk_after(p);
    crash_state state = {.p = p, .n_names = d->n_changes};
    for (int f = 0; f < n_files; f++)
        state.n_files += d->dirty[f];
    return state;
}

static uint32_t next(uint32_t *random) { return (*random = *random * 1664525 + 1013904223) >> 8; }

/* Contents by all operations on the file in [0, end), in a static buffer; returns the length. */
static size_t contents(int file, int end, uint8_t **ret_bytes) {
    static uint8_t buffers[2][1 << 16];
    static int turn;
    uint8_t *bytes = buffers[turn++ % 2];
    size_t n = 0;
    for (int i = 0; i < end; i++) {
        const operation *o = &operations[i];
        size_t reach = o->offset + o->n;
        if (o->file != file || (o->kind != WRITE && o->kind != RESERVE))
            continue;
        must(reach <= sizeof buffers[0], "too large a file");
        if (reach > n) {
            memset(bytes + n, 0, reach - n);
            n = reach;
        }
        if (o->kind == WRITE)
            memcpy(bytes + o->offset, o->bytes, o->n);
    }
    *ret_bytes = bytes;
    return n;
}

/* new: what the program wrote; of it, what was synced are the first bytes of `old`, n_old long. */
static size_t lose(crash_data way, uint32_t random, const uint8_t *old, size_t n_old, uint8_t *new, size_t n_new) {
    size_t at = n_new > 0 ? next(&random) % n_new : 0;
    switch (way) {
    case CRASH_NOTHING: memcpy(new, old, n_old); return n_old;
    case CRASH_EMPTY: return n_old > 0 ? n_new : 0;
    case CRASH_CUT: return at > n_old ? at : n_old;
    case CRASH_ZEROS:
    case CRASH_GARBAGE:
        for (size_t i = at > n_old ? at : n_old; i < n_new; i++)
            new[i] = way == CRASH_ZEROS ? 0 : (uint8_t)next(&random);
        return n_new;
    case CRASH_BLOCKS:
        for (size_t block = 0; block < n_new; block += BLOCK) {
            uint32_t fate = next(&random) % 3;
            for (size_t i = block; i < block + BLOCK && i < n_new && fate > 0; i++)
                if (i >= n_old)
                    new[i] = fate == 1 ? 0 : (uint8_t)next(&random);
        }
        return n_new;
    default: return n_new;
    }
}

static size_t file_after(const disk *d, int file, crash_data way, uint32_t random, uint8_t **ret_bytes) {
    uint8_t *old, *new;
    size_t n_old = contents(file, d->synced_until[file], &old), n_new;
    if (!d->dirty[file]) {
        *ret_bytes = old;
        return n_old;
    }
    n_new = contents(file, d->end, &new);
    *ret_bytes = new;
    return lose(way, random + (uint32_t)file * 7919, old, n_old, new, n_new);
}

static void remove_files(const char *in) {
    char path[1024];
    DIR *stream = opendir(in);
    must(stream != NULL, in);
    for (struct dirent *file; (file = readdir(stream)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", in, file->d_name);
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0)
            must(unlink(path) == 0, path);
    }
    closedir(stream);
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static directory names_after(const disk *d, uint64_t mask) {
    directory names = d->lasting;
    for (int i = 0; i < d->n_changes; i++)
        if (mask >> i & 1)
            set(&names, d->changes[i].name, d->changes[i].file);
    qsort(names.entries, (size_t)names.n, sizeof *names.entries, compare_entries);
    return names;
}

uint64_t crash_hash(const crash_state *state, uint64_t mask, crash_data way, uint32_t random) {
    const disk *d = disk_after(state->p);
    directory names = names_after(d, mask);
    uint64_t hash = 0;
    for (int i = 0; i < names.n; i++) {
        uint8_t *bytes;
        size_t n = file_after(d, names.entries[i].file, way, random, &bytes);
        hash = XXH64(names.entries[i].name, strlen(names.entries[i].name), hash);
        hash = XXH64(bytes, n, hash);
    }
    return hash;
}

void crash_lay_out(const crash_state *state, uint64_t mask, crash_data way, uint32_t random, const char *to) {
    const disk *d = disk_after(state->p);
    directory names = names_after(d, mask);
    remove_files(to);
    for (int i = 0; i < names.n; i++) {
        char path[1024];
        uint8_t *bytes;
        size_t n = file_after(d, names.entries[i].file, way, random, &bytes);
        snprintf(path, sizeof path, "%s/%s", to, names.entries[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
        must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0, path);
    }
}

const char *crash_describe(const crash_state *state, uint64_t mask, crash_data way, uint32_t random) {
    static char text[2000];
    static const char *const ways[] = {"nothing", "whole", "empty", "cut", "zeros", "garbage", "blocks"};
    const disk *d = disk_after(state->p);
    int length = snprintf(text, sizeof text,
                          "crash after %d operations, names %llx of %d, data %s (%u); the last ones:", state->p,
                          (unsigned long long)mask, d->n_changes, ways[way], random);
    for (int i = d->end > 12 ? d->end - 12 : 0; i < d->end && (size_t)length < sizeof text; i++) {
        const operation *o = &operations[i];
        length += snprintf(text + length, sizeof text - (size_t)length, " %s %d %s %s;", kind_names[o->kind], o->file,
                           o->name, o->to);
    }
    return text;
}
