#include "cli/nearest.h"

#include <stdio.h>
#include <string.h>

#define MAX_LENGTH 64

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Edits (insert, delete, replace a letter) from a to b: Levenshtein's distance. */
static size_t distance(const char *a, const char *b) {
    size_t row[MAX_LENGTH + 1], n = strlen(a), m = strlen(b);
    if (n > MAX_LENGTH || m > MAX_LENGTH)
        return MAX_LENGTH;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(least(row[j], row[j - 1]) + 1, replaced);
        }
    }
    return row[m];
}

const char *cli_hint(const char *text, const char *const *names, size_t count) {
    static char hint[MAX_LENGTH + 32];
    const char *nearest = NULL;
    size_t best = strlen(text) / 3 + 2; /* farther is no typing mistake */
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(text, names[i]);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    if (nearest == NULL)
        return "";
    snprintf(hint, sizeof hint, ", did you mean %s?", nearest);
    return hint;
}
