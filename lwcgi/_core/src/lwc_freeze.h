/* SPDX-License-Identifier: MIT */
/*
 * Freezes the serving child: the snapshot from which workers are cloned.
 */
#ifndef LWCGI_LWC_FREEZE_H
#define LWCGI_LWC_FREEZE_H

#include "keep.h"

/* What the root has of it. */
struct lwc_frozen {
    uint8_t *exchange; /* LWC_EXCHANGE bytes */
    int door;
    int snapshot;
};

/* Can these descriptors be told from all others? Returns 0, or -E2BIG: they lie so far apart that
 * what is between them takes more specifications than a creation may have. */
int lwc_freeze_examine(const struct frozen *f);

/* Returns 0 in the root, -errno there with *what it failed at; 1 in each worker,
 * when it is entered for the first time. */
int lwc_freeze(struct keep *k, struct inbox *in, struct lwc_frozen *to, const char **what);

#endif
