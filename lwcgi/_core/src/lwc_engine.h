/* SPDX-License-Identifier: MIT */
/*
 * The `lwc` engine: requests run in light-weight contexts of a serving child.
 *
 * The loop is the child's root lwC, which alone has the keep and the root's
 * descriptors. It freezes a snapshot of itself without them, and enters a worker
 * cloned from it for each request. Afterwards the worker is reset, or another
 * takes its place. The root process outside is the safety net, as under `none`:
 * the end of the child is the end of all its lwCs.
 */
#ifndef LWCGI_LWC_ENGINE_H
#define LWCGI_LWC_ENGINE_H

#include "keep.h"

/* The last of arming: opens the door. Returns 0 or -errno; -E2BIG where the application's
 * descriptors lie too far apart. */
int lwc_engine_open(struct keep *k, const struct frozen *f);

/* The frozen point. Returns 1 in a worker, once for each request; 0 in the root
 * process when it is told to stop, -errno there where it cannot go on. */
int lwc_engine_next(struct keep *k, struct inbox *in);

#endif
