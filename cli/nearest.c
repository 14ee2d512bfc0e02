#include "cli/nearest.h"

#include <stdio.h>
#include <string.h>

#define MAX_LENGTH 64

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Edits (insert, delete, replace, swap neighbours) from a to b: the optimal string alignment distance. */
static size_t distance(const char *a, const char *b) {
    size_t rows[3][MAX_LENGTH + 1], n = strlen(a), m = strlen(b);
    if (n > MAX_LENGTH || m > MAX_LENGTH)
        return MAX_LENGTH;
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[m];
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
