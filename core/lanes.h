/* Layer: core. Sums whose bits depend on neither vector width nor threads: in double, over 16 lanes (term i goes to
 * lane i mod 16), folded in a fixed tree. gcc keeps the lanes in vector registers. */
#ifndef TREAD_CORE_LANES_H
#define TREAD_CORE_LANES_H

#include <stdint.h>

#define TREAD_LANES 16

static inline __attribute__((always_inline)) double tread_lanes_fold(double *lanes) {
    for (int i = 0; i < 8; i++)
        lanes[i] += lanes[i + 8];
    for (int i = 0; i < 4; i++)
        lanes[i] += lanes[i + 4];
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/* Adds term to lanes, an array of TREAD_LANES doubles, for i in [0, n) from lane 0 on. */
#define TREAD_LANE_ADD(lanes, n, i, term)                                                                              \
    do {                                                                                                               \
        const int64_t n_ = (n), whole_ = n_ / TREAD_LANES * TREAD_LANES;                                               \
        for (int64_t block_ = 0; block_ < whole_; block_ += TREAD_LANES)                                               \
            for (int lane_ = 0; lane_ < TREAD_LANES; lane_++) {                                                        \
                const int64_t i = block_ + lane_;                                                                      \
                (lanes)[lane_] += (double)(term);                                                                      \
            }                                                                                                          \
        for (int lane_ = 0; lane_ < (int)(n_ - whole_); lane_++) {                                                     \
            const int64_t i = whole_ + lane_;                                                                          \
            (lanes)[lane_] += (double)(term);                                                                          \
        }                                                                                                              \
    } while (0)

/* result = sum of term over i in [0, n), term being an expression in i: TREAD_LANE_SUM(total, n, i, x[i] * y[i]).
 * Arrays in term should be restrict pointers. */
#define TREAD_LANE_SUM(result, n, i, term)                                                                             \
    do {                                                                                                               \
        double lanes_[TREAD_LANES] = {0};                                                                              \
        TREAD_LANE_ADD(lanes_, n, i, term);                                                                            \
        (result) = tread_lanes_fold(lanes_);                                                                           \
    } while (0)

#endif
