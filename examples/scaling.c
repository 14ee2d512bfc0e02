/* Measures how two optimizers' steps scale over threads, and says what bounds them.
 * cc scaling.c $(pkg-config --cflags --libs tread) && ./a.out [rounds] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tread/tread.h>

int main(int argc, char **argv) {
    tread_profile_optimizer_options options = tread_profile_optimizer_defaults();
    /* Thread counts are, left alone, 1, 2, 4, ... up to the default context's. */
    options.optimizers = (const char *const[]){"sgd:momentum=0.9", "adam"};
    options.n_optimizers = 2;
    options.layouts = (const char *const[]){"big:4Mi", "mlp:784-512-256-10"};
    options.n_layouts = 2;
    options.rounds = argc > 1 ? atoi(argv[1]) : 5;
    tread_profile_optimizer_result *result;
    if (tread_profile_optimizer(NULL, &options, &result) != TREAD_OK) {
        fprintf(stderr, "%s\n", tread_last_error());
        return EXIT_FAILURE;
    }
    printf("%-20s %-18s %7s %10s %8s  %s\n", "layout", "optimizer", "threads", "ns/element", "speed-up", "bound");
    for (size_t i = 0; i < result->n_rows; i++) {
        const tread_profile_row *row = &result->rows[i];
        printf("%-20s %-18s %7d %10.3f ", result->layouts[row->layout].text, result->optimizers[row->optimizer].spec,
               row->threads, row->ns_per_parameter);
        if (isnan(row->speedup))
            printf("%8s", "-");
        else
            printf("%8.2f", row->speedup);
        printf("  %s\n", tread_profile_bound_name(row->bound));
    }
    for (size_t i = 0; i < result->warnings.count; i++)
        printf("warning: %s\n", result->warnings.items[i].text);
    tread_profile_optimizer_destroy(result);
    return EXIT_SUCCESS;
}
