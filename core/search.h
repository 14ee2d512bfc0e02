/* Layer: core. Finding a place in what rises. */
#ifndef TREAD_CORE_SEARCH_H
#define TREAD_CORE_SEARCH_H

/* result = the first i in [0, n) for which condition, an expression in i, holds; n if there is none. Once it holds it
 * holds for all that follow: TREAD_FIND_FIRST(place, n, i, starts[i] >= at). */
#define TREAD_FIND_FIRST(result, n, i, condition)                                                                      \
    do {                                                                                                               \
        int64_t low_ = 0, high_ = (int64_t)(n);                                                                        \
        while (low_ < high_) {                                                                                         \
            const int64_t i = low_ + (high_ - low_) / 2;                                                               \
            if (condition)                                                                                             \
                high_ = i;                                                                                             \
            else                                                                                                       \
                low_ = i + 1;                                                                                          \
        }                                                                                                              \
        (result) = low_;                                                                                               \
    } while (0)

#endif
