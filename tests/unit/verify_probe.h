/* SPDX-License-Identifier: MIT */
/*
 * What the halves of the probe share: the image it freezes (verify_probe.c),
 * and the changes it can make to it (verify_changes.c).
 */
#ifndef VERIFY_PROBE_H
#define VERIFY_PROBE_H

#include <stdint.h>

#include "verify.h"

enum { PAGE = 4096, STACK = 65536, LINE = 2048 };
enum { FILE_A = 50, FILE_B = 51, FILE_OWN = 700 };

/* What the child may write to: no part of the image. */
struct region {
    struct verify verify;
    char why[LINE];
    char root_stack[STACK] __attribute__((aligned(16)));
    char child_stack[STACK] __attribute__((aligned(16)));
    char thread_stack[STACK] __attribute__((aligned(16)));
};

extern struct region *own;
extern char *anon, *readonly, *closed, *blank, *from_file, *gone;
extern uint64_t probe_number, probe_zeros[1024], exempt_word;

/* Makes a change by name. Returns 0 or -errno. */
long make_change(const char *name);
void list_changes(void);

/* Never returns, and ends with the process `parent`. */
void __attribute__((noreturn)) sleep_on(int parent);

#endif
