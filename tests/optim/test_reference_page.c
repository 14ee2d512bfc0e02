/* docs/optimizers.md: its tables list every field of every algorithm, with the default that it has, and beside it the
 * reference's, which is the same, or range and meaning. (tests/lint/docs.sh holds the other names of the page.) */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

#include "tests/test.h"

/* ---- The page ---- */

enum { CELLS = 5, OWN_CELLS = 4, MAX_ROWS = 400 };

/* A line of a table; name: what stands in quotes in the heading above ("### Adam: `adam`"), or "". */
typedef struct row {
    char name[64];
    char cells[CELLS][160]; /* argument, default, field, default, tests, without the quotes round them */
    bool own;               /* of a table of algorithms beyond the reference: no argument, but */
    char range[160], doc[160];
} row;

static row rows[MAX_ROWS];
static size_t n_rows;

/* The cell without blanks and quotes round it. */
static void copy_cell(char *to, size_t size, const char *from, size_t length) {
    while (length > 0 && strchr(" `", from[0]) != NULL)
        from++, length--;
    while (length > 0 && strchr(" `", from[length - 1]) != NULL)
        length--;
    ck_assert_uint_lt(length, size);
    memcpy(to, from, length);
    to[length] = '\0';
}

static void read_heading(const char *line, char *ret_name, size_t size) {
    const char *begin = strchr(line, '`'), *end = begin != NULL ? strchr(begin + 1, '`') : NULL;
    ret_name[0] = '\0';
    if (end != NULL)
        copy_cell(ret_name, size, begin, (size_t)(end - begin));
}

/* | field | default | range | meaning | */
static void read_own_row(const char *line, const char *name) {
    if (strncmp(line, "|---", 4) == 0)
        return;
    ck_assert_uint_lt(n_rows, MAX_ROWS);
    row *r = &rows[n_rows++];
    *r = (row){.own = true};
    snprintf(r->name, sizeof r->name, "%s", name);
    char *const cells[OWN_CELLS] = {r->cells[2], r->cells[3], r->range, r->doc};
    for (int i = 0; i < OWN_CELLS; i++) {
        size_t length = strcspn(++line, "|");
        copy_cell(cells[i], sizeof r->range, line, length);
        line += length;
    }
}

static void read_row(const char *line, const char *name) {
    size_t bars = 0;
    for (const char *c = line; *c != '\0'; c++)
        bars += *c == '|';
    if (bars != CELLS + 1 || strncmp(line, "|---", 4) == 0 || strncmp(line, "| argument |", 12) == 0)
        return;
    ck_assert_uint_lt(n_rows, MAX_ROWS);
    row *r = &rows[n_rows++];
    *r = (row){.own = false};
    snprintf(r->name, sizeof r->name, "%s", name);
    for (int i = 0; i < CELLS; i++) {
        size_t length = strcspn(++line, "|");
        if (i < CELLS - 1) /* the tests are another's business */
            copy_cell(r->cells[i], sizeof r->cells[i], line, length);
        line += length;
    }
}

static void read_page(void) {
    char path[4096], name[64] = "";
    const char *root = getenv("TREAD_SOURCE");
    ck_assert_ptr_nonnull(root);
    snprintf(path, sizeof path, "%s/docs/optimizers.md", root);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    char *line = NULL;
    size_t size = 0;
    bool own = false; /* within such a table */
    for (n_rows = 0; getline(&line, &size, file) >= 0;) {
        own = own && line[0] == '|';
        if (line[0] == '#')
            read_heading(line, name, sizeof name);
        else if (own)
            read_own_row(line, name);
        else if (strcmp(line, "| field | default | range | meaning |\n") == 0)
            own = true;
        else if (line[0] == '|')
            read_row(line, name);
    }
    free(line);
    fclose(file);
    ck_assert_uint_gt(n_rows, 60);
}

/* ---- Comparing ---- */

/* Python's default as Tread writes it: (0.9, 0.999), True, 'min', 1e-08. */
static void to_tread(const char *python, char *ret_text, size_t size) {
    size_t used = 0;
    for (const char *c = python; *c != '\0'; c++)
        if (strchr("()' ", *c) == NULL && used + 1 < size)
            ret_text[used++] = *c == ',' ? '/' : *c == 'T' ? 't' : *c == 'F' ? 'f' : *c;
    ret_text[used] = '\0';
}

/* Whether both say the same, numbers by their value. */
static bool same_default(const char *a, const char *b) {
    for (;;) {
        char *end_a, *end_b;
        double x = strtod(a, &end_a), y = strtod(b, &end_b);
        if (end_a == a || end_b == b)
            return strcmp(a, b) == 0;
        if (x != y || *end_a != *end_b)
            return false;
        if (*end_a == '\0')
            return true;
        a = end_a + 1;
        b = end_b + 1;
    }
}

static const row *find_row(const char *algorithm, const char *field) {
    for (size_t i = 0; i < n_rows; i++)
        if (strcmp(rows[i].name, algorithm) == 0 && strcmp(rows[i].cells[2], field) == 0)
            return &rows[i];
    return NULL;
}

static void check_field(const char *algorithm, const row *r, const tread_field_info *field) {
    char reference[64];
    ck_assert_msg(r != NULL, "%s: the page lacks %s", algorithm, field->name);
    const char *text = r->cells[3], *actual = field->required ? "required" : field->default_text;
    ck_assert_msg(same_default(text, actual), "%s: %s has the default %s, the page says %s", algorithm, field->name,
                  actual, text);
    if (r->own) {
        ck_assert_msg(strcmp(r->range, field->range) == 0, "%s: %s: %s, the page says %s", algorithm, field->name,
                      field->range, r->range);
        ck_assert_msg(strcmp(r->doc, field->doc) == 0, "%s: %s: %s, the page says %s", algorithm, field->name,
                      field->doc, r->doc);
    }
    to_tread(r->cells[1], reference, sizeof reference);
    bool list = strcmp(text, "none") == 0; /* an empty list stands for the reference's one value */
    bool clips = strcmp(field->name, "clip_grad_max_norm") == 0;
    if (reference[0] != '\0' && !list && !clips)
        ck_assert_msg(same_default(reference, actual), "%s: %s has the default %s, the reference %s", algorithm,
                      field->name, actual, reference);
}

START_TEST(fields_and_defaults_are_those_of_the_page) {
    tread_field_info field;
    read_page();
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        const char *name = tread_optimizer_type_name(type);
        for (size_t i = 0; i < tread_optimizer_field_count(type); i++) {
            ck_assert_ok(tread_optimizer_field(type, i, &field));
            const row *own = find_row(name, field.name);
            check_field(name, own != NULL ? own : find_row("", field.name), &field);
        }
    }
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++) {
        const char *name = tread_lr_scheduler_type_name(type);
        for (size_t i = 0; i < tread_lr_scheduler_field_count(type); i++) {
            ck_assert_ok(tread_lr_scheduler_field(type, i, &field));
            if (strcmp(field.name, "last_step") != 0 && strcmp(field.name, "verbose") != 0)
                check_field(name, find_row(name, field.name), &field);
        }
    }
}
END_TEST

START_TEST(the_page_has_no_field_that_is_not_there) {
    read_page();
    for (size_t i = 0; i < n_rows; i++) {
        const row *r = &rows[i];
        bool found = r->name[0] == '\0' || strncmp(r->cells[2], "tread_", 6) == 0; /* no field, but a function */
        tread_field_info field;
        for (size_t type = 0; type < tread_optimizer_type_count(); type++)
            for (size_t f = 0; f < tread_optimizer_field_count(type); f++)
                if (strcmp(tread_optimizer_type_name(type), r->name) == 0 &&
                    tread_optimizer_field(type, f, &field) == TREAD_OK)
                    found = found || strcmp(field.name, r->cells[2]) == 0;
        for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++)
            for (size_t f = 0; f < tread_lr_scheduler_field_count(type); f++)
                if (strcmp(tread_lr_scheduler_type_name(type), r->name) == 0 &&
                    tread_lr_scheduler_field(type, f, &field) == TREAD_OK)
                    found = found || strcmp(field.name, r->cells[2]) == 0;
        ck_assert_msg(found, "%s has no field %s", r->name, r->cells[2]);
    }
}
END_TEST

TEST_MAIN("reference_page", fields_and_defaults_are_those_of_the_page, the_page_has_no_field_that_is_not_there)
