/* SPDX-License-Identifier: MIT */
/*
 * The self-test: what the engine `rewind` takes for granted of kernel and
 * processor, tried on this machine. Any difference, and it cannot prove that
 * an undo is complete.
 */
#ifndef LWCGI_SELFTEST_H
#define LWCGI_SELFTEST_H

#include <stdint.h>

struct lw_selftest {
    const char *premise; /* the first that does not hold; NULL: all do */
    const char *mapping; /* the kind of memory it was tried on, or NULL */
    const char *remedy;
    int32_t err; /* errno; minus the signal that ended the attempt; 0: the
                    kernel does as it is told, but otherwise than expected */
    /* System calls cannot be seen, and likewise why: the engine works, slower. */
    int32_t unseen;
    int32_t unseen_err;
};

/* Tries every premise in a process of its own, of which nothing is left.
 * `file` is any file of three pages or more, to be mapped. Returns 0; -1 where
 * a premise does not hold. */
int lw_selftest(const char *file, struct lw_selftest *result);

#endif
