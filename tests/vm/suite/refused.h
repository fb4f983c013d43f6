/* SPDX-License-Identifier: MIT */
#ifndef SUITE_REFUSED_H
#define SUITE_REFUSED_H
/*
 * System calls of lwCs that refuse them: made there, answered here.
 */
#include <linux/unistd.h>

#include <stdbool.h>

#include "calls.h"

/* No system call has this number: refused always. What an lwC has to tell goes along with it. */
#define TELL 600

/* A system call, by the instruction; its answer, also a negative errno. */
long raw(long nr, long a, long b, long c, long d, long e, long f);
#define RAW(nr) raw(nr, 0, 0, 0, 0, 0, 0)
#define TELLING(word) raw(TELL, (long)(word), 0, 0, 0, 0, 0)

/* A call by the entry for 32-bit programs, and whether the kernel has it. */
long getpid_by_32_bits(void);
bool has_32_bits(void);

/* From now on these calls of an lwC run, and no others. */
#define ALLOW(fd, ...)                                                                             \
    allow(fd, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
void allow(int fd, const int *calls, int count);

/* Into an lwC, which is to come back by a refused call. The answer to the last one goes along. */
struct lwc_switch answer(int fd, __u64 error, __u64 value);
struct lwc_switch first_call(int fd);

/* The same, and the word that it has to tell. */
__u64 told(int fd, __u64 error, __u64 value);

#endif
