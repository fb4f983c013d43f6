/* SPDX-License-Identifier: MIT */
/*
 * The signals a root listens to: blocked, and read from a descriptor, so that
 * no handler of the application runs in the root.
 */
#ifndef LWCGI_SIGNALS_H
#define LWCGI_SIGNALS_H

#include "keep.h"

/* Blocks all signals and opens k->signals; *mask becomes the mask there was.
 * Returns 0 or -errno. */
int signals_take_over(struct keep *k, uint64_t *mask);

/* Reads what arrived: TERM and QUIT set k->stopping, INT sets k->quick. */
void signals_read(struct keep *k);

#endif
