#include <inttypes.h>
#include <stdio.h>

#include "cli/curve.h"
#include "cli/numbers.h"
#include "cli/progress.h"

#define SHORT 40 /* rows that nobody minds */

void cli_curve_print_csv(const cli_curve *curve) {
    char text[CLI_NUMBER_TEXT];
    printf("step,lr\n");
    for (int64_t i = 0; i < curve->n; i++)
        printf("%" PRId64 ",%s\n", i, cli_number_text(text, curve->lr[i]));
}

static bool changes(const cli_curve *curve, int64_t i) { return i > 0 && curve->lr[i] != curve->lr[i - 1]; }

static int direction(const cli_curve *curve, int64_t i) {
    return (curve->lr[i] > curve->lr[i - 1]) - (curve->lr[i] < curve->lr[i - 1]);
}

/* Where rising, staying or falling gives way to another of these. */
static bool turns(const cli_curve *curve, int64_t i) {
    return i > 0 && i + 1 < curve->n && direction(curve, i) != direction(curve, i + 1);
}

static int64_t count(const cli_curve *curve, bool (*shown)(const cli_curve *, int64_t)) {
    int64_t n = 0;
    for (int64_t i = 0; i < curve->n; i++)
        n += shown(curve, i);
    return n;
}

/* The least of 1, 2, 5, 10, 20, ... that leaves few rows. */
static int64_t stride(int64_t n) {
    for (int64_t power = 1;; power *= 10)
        for (int64_t digit = 1; digit <= 5; digit += digit == 1 ? 1 : 3)
            if (n <= digit * power * SHORT)
                return digit * power;
}

static void print_row(const cli_curve *curve, int64_t i) {
    printf("%8" PRId64 "  %12.6g", i, curve->lr[i]);
    if (curve->momentum != NULL)
        printf("  %12.6g", curve->momentum[i]);
    if (i < curve->n_metrics)
        printf("  %12.6g", cli_unsigned_nan(curve->metrics[i]));
    putchar('\n');
}

void cli_curve_print_table(const cli_curve *curve, int64_t every) {
    bool by_changes = every == 0 && curve->n > SHORT && count(curve, changes) < SHORT;
    bool with_turns = every == 0 && !by_changes && count(curve, turns) <= SHORT;
    int64_t step = every > 0 ? every : by_changes ? curve->n : stride(curve->n), shown = 0;
    printf("%s, base lr %.6g\n\n    step            lr%s%s\n", curve->spec, curve->base_lr,
           curve->momentum != NULL ? "      momentum" : "", curve->metrics != NULL ? "        metric" : "");
    for (int64_t i = 0; i < curve->n; i++)
        if (i % step == 0 || i + 1 == curve->n || (by_changes && changes(curve, i)) ||
            (with_turns && turns(curve, i))) {
            print_row(curve, i);
            shown++;
        }
    if (shown < curve->n)
        printf("\n%" PRId64 " of %" PRId64 " steps%s; --every 1 shows all\n", shown, curve->n,
               by_changes ? ", those at which lr changes" : "");
}
