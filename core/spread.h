/* Layer: core. Keeps the threads of a parallel region on CPUs of their own.
 *
 * Beside a busy program Linux may leave two threads on one CPU and the program on the other, for as long as all run: to
 * it that is as fair as any other way, but the threads then wait for each other by turns. Measured (Linux 6.18, 2 CPUs,
 * one busy loop, GOMP_SPINCOUNT=1000): a training step of 784-128-10, batch 32, takes 77 us by one thread, 170 to 250
 * by two, and 94 by two that this keeps apart. With libgomp's own spinning a region was seen to take 8 ms in place of 4
 * us. A thread that finds its CPU taken by another of its region leaves it: its affinity mask is narrowed for a moment,
 * which moves it, and is then what it was.
 */
#ifndef TREAD_CORE_SPREAD_H
#define TREAD_CORE_SPREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TREAD_SPREAD_CPUS 1024

/* The CPUs that the threads of one region have been seen on. */
typedef struct tread_spread {
    atomic_uint_fast64_t taken[TREAD_SPREAD_CPUS / 64];
} tread_spread;

/* Each thread of a region calls it once, with the region's own set, all zero at first. Where there are more threads
 * than CPUs there is nothing to gain, and nobody should call it. Returns whether the calling thread was moved: at most
 * every 5 ms, since beside other busy programs the kernel may have had its reasons. */
bool tread_spread_out(tread_spread *spread);

#endif
