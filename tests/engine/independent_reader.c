#include "tests/engine/independent_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/files.h"

static void must(int condition, const char *what, const char *at) {
    if (!condition) {
        fprintf(stderr, "independent reader: %s at \"%.40s\"\n", what, at);
        exit(99);
    }
}

static const char *blank(const char *at) { return at + strspn(at, " \t\r\n"); }

static const char *expect(const char *at, char c) {
    at = blank(at);
    must(*at == c, "another character", at);
    return at + 1;
}

/* Reads a string into text (NULL: passes over it). */
static const char *string(const char *at, char *text) {
    at = expect(at, '"');
    for (; *at != '"'; at++) {
        char c = *at;
        must(c != '\0', "a string without end", at);
        if (c == '\\') {
            at++;
            const char *which = strchr("ntrbf", *at);
            must(*at != '\0' && strchr("ntrbfu\"\\/", *at) != NULL, "an escape", at);
            c = which != NULL ? "\n\t\r\b\f"[which - "ntrbf"] : *at;
            if (*at == 'u') {
                must(strncmp(at, "u00", 3) == 0 && at[3] < '8', "an escape past ASCII", at);
                c = (char)strtol((char[]){at[3], at[4], '\0'}, NULL, 16);
                at += 4;
            }
        }
        if (text != NULL)
            *text++ = c;
    }
    if (text != NULL)
        *text = '\0';
    return at + 1;
}

/* Passes over any value. */
static const char *skip(const char *at) {
    at = blank(at);
    if (*at == '"')
        return string(at, NULL);
    if (*at != '{' && *at != '[')
        return at + strcspn(at, ",]} \t\r\n");
    char end = *at == '{' ? '}' : ']';
    for (at = blank(at + 1); *at != end; at = blank(at)) {
        if (end == '}')
            at = expect(string(at, NULL), ':');
        at = blank(skip(at));
        if (*at == ',')
            at++;
        else
            must(*at == end, "neither comma nor end", at);
    }
    return at + 1;
}

/* Whether there is another member; moves past the comma or the end. */
static int more(const char **at, char end) {
    *at = blank(*at);
    int comma = **at == ',';
    must(comma || **at == end, "neither comma nor end", *at);
    (*at)++;
    return comma;
}

static const char *numbers(const char *at, long long *values, int *ret_n) {
    at = blank(expect(at, '['));
    for (*ret_n = 0; *at != ']';) {
        char *end;
        must(*ret_n < 8, "too many numbers", at);
        values[(*ret_n)++] = strtoll(at, &end, 10);
        must(end != at, "no number", at);
        at = blank(end);
        if (*at == ',')
            at = blank(at + 1);
    }
    return at + 1;
}

static const char *metadata(independent_file *file, const char *at) {
    char key[200];
    at = expect(at, '{');
    if (*blank(at) == '}')
        return blank(at) + 1;
    do {
        at = expect(string(at, key), ':');
        const char *value = blank(at);
        at = string(at, NULL);
        if (strcmp(key, "tread") == 0) {
            file->tread = malloc((size_t)(at - value));
            string(value, file->tread);
        }
        if (strcmp(key, "tread_header_hash") == 0) {
            must(at - value == 34, "a hash that is not 32 digits", value);
            string(value, file->hash);
        }
    } while (more(&at, '}'));
    return at;
}

static const char *tensor(independent_file *file, independent_tensor *t, const char *at) {
    char key[200];
    long long offsets[8] = {0};
    int n = 0;
    at = expect(at, '{');
    do {
        at = expect(string(at, key), ':');
        if (strcmp(key, "dtype") == 0)
            at = string(at, t->dtype);
        else if (strcmp(key, "shape") == 0)
            at = numbers(at, t->shape, &t->rank);
        else if (strcmp(key, "data_offsets") == 0)
            at = numbers(at, offsets, &n);
        else
            must(0, "an unknown key", key);
    } while (more(&at, '}'));
    must(n == 2 && offsets[0] <= offsets[1] && 8 + file->header + (size_t)offsets[1] <= file->n, "offsets", t->name);
    t->data = file->bytes + 8 + file->header + offsets[0];
    t->bytes = (size_t)(offsets[1] - offsets[0]);
    return at;
}

void independent_open(independent_file *file, const char *path) {
    char name[200];
    *file = (independent_file){.header = 0};
    file->bytes = test_read(path, &file->n);
    for (int i = 7; i >= 0; i--)
        file->header = file->header << 8 | file->bytes[i];
    char *text = strndup((char *)file->bytes + 8, file->header);
    const char *at = blank(expect(text, '{'));
    if (*at != '}')
        do {
            at = expect(string(at, name), ':');
            if (strcmp(name, "__metadata__") == 0) {
                at = metadata(file, at);
                continue;
            }
            independent_tensor *t = &file->tensors[file->n_tensors++];
            must(file->n_tensors <= 64, "too many tensors", at);
            snprintf(t->name, sizeof t->name, "%s", name);
            at = tensor(file, t, at);
        } while (more(&at, '}'));
    free(text);
}

void independent_close(independent_file *file) {
    free(file->bytes);
    free(file->tread);
}

const independent_tensor *independent_find(const independent_file *file, const char *name) {
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *independent_value(const char *json, const char *way) {
    static char text[500];
    const char *at = blank(json);
    while (*way != '\0') {
        size_t length = strcspn(way, ".");
        char wanted[100], key[200];
        snprintf(wanted, sizeof wanted, "%.*s", (int)length, way);
        way += length + (way[length] == '.');
        char end = *at == '{' ? '}' : ']';
        long index = 0;
        if ((*at != '{' && *at != '[') || *blank(at + 1) == end)
            return NULL;
        for (at++;; index++) {
            snprintf(key, sizeof key, "%ld", index);
            if (end == '}')
                at = expect(string(at, key), ':');
            at = blank(at);
            if (strcmp(key, wanted) == 0)
                break;
            at = skip(at);
            if (!more(&at, end))
                return NULL;
        }
    }
    snprintf(text, sizeof text, "%.*s", (int)(skip(at) - at), at);
    return text;
}
