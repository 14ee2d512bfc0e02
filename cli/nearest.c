#include "cli/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_LENGTH 64
#define LEAST_PART 3 /* letters of a name that say which */
#define MOST_SHOWN 4

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static int lower(char letter) { return tolower((unsigned char)letter); }

/* Edits (insert, delete, replace a letter) from a to b: Levenshtein's distance, in letters
 * of either case. */
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
            size_t replaced = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            row[j] = least(least(row[j], row[j - 1]) + 1, replaced);
        }
    }
    return row[m];
}

static bool is_name(const char *text, const char *name) { return strcasecmp(text, name) == 0; }
static bool begins(const char *text, const char *name) { return strncasecmp(text, name, strlen(text)) == 0; }
static bool is_within(const char *text, const char *name) { return strcasestr(name, text) != NULL; }

/* Writes ", did you mean A, B or C?" of the names that match; whether there are any. */
static bool list_matches(const char *text, const char *const *names, size_t count,
                         bool (*matches)(const char *, const char *), char *ret_hint, size_t size) {
    size_t all = 0, shown = 0, length = 0;
    for (size_t i = 0; i < count; i++)
        all += matches(text, names[i]);
    const size_t most = least(all, MOST_SHOWN);
    for (size_t i = 0; i < count && shown < most && length < size; i++)
        if (matches(text, names[i])) {
            const char *before = shown == 0 ? ", did you mean " : shown + 1 < most ? ", " : " or ";
            length += (size_t)snprintf(ret_hint + length, size - length, "%s%s", before, names[i]);
            shown++;
        }
    if (most > 0 && length < size)
        snprintf(ret_hint + length, size - length, "?");
    return most > 0;
}

const char *cli_hint(const char *text, const char *const *names, size_t count) {
    static char hint[MOST_SHOWN * (MAX_LENGTH + 4) + 32];
    const bool part = strlen(text) >= LEAST_PART;
    if (list_matches(text, names, count, is_name, hint, sizeof hint) ||
        (part && list_matches(text, names, count, begins, hint, sizeof hint)) ||
        (part && list_matches(text, names, count, is_within, hint, sizeof hint)))
        return hint;
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
