/* SPDX-License-Identifier: MIT */
/*
 * The root of engines whose serving loop runs in a child: makes the child,
 * sleeps beside it, and clears up when it dies or hangs.
 */
#ifndef LWCGI_GUARD_H
#define LWCGI_GUARD_H

#include "keep.h"

/* Returns 1 in each new serving child, 0 in the root when the worker is told
 * to stop, -errno where it cannot go on. */
int guard_run(struct keep *k, struct inbox *in);

#endif
