/* SPDX-License-Identifier: MIT */
#ifndef SUITE_BENCH_H
#define SUITE_BENCH_H

/* Prints a line per figure: BENCH what ns per operation. */
int bench(void);

#endif
