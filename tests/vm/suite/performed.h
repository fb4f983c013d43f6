/* SPDX-License-Identifier: MIT */
#ifndef SUITE_PERFORMED_H
#define SUITE_PERFORMED_H
/*
 * System calls that one lwC performs for another.
 */
#include "calls.h"

#define IN_MEMORY (1u << LWC_MEMORY)
#define IN_FILES (1u << LWC_FILES)
#define IN_CREDENTIALS (1u << LWC_CREDENTIALS)
#define IN_ALL (IN_MEMORY | IN_FILES | IN_CREDENTIALS)

#define WORDS(...) ((const __u64[6]){__VA_ARGS__})

/* What the call returns that was performed; performing it must not fail. */
long for_other(int fd, __u32 mask, long nr, const __u64 *args);

#endif
