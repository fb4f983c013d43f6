/* SPDX-License-Identifier: MIT */
#ifndef SUITE_BENCH_H
#define SUITE_BENCH_H

/*
 * Prints, in each round, a line per operation with its time and counts, and the memory that lwCs
 * cost: BENCH what ns=1234 roots=2.00 ..., MEMORY pages=10 kilobytes=56.78.
 */
int bench(int rounds);

#endif
