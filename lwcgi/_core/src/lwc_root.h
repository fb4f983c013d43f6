/* SPDX-License-Identifier: MIT */
/*
 * The root lwC of a serving child: the loop, between the connections and the
 * worker in which the application runs.
 */
#ifndef LWCGI_LWC_ROOT_H
#define LWCGI_LWC_ROOT_H

#include "keep.h"

/* Places in keep.own. */
enum { OWN_DOOR };

/* keep.stage: how far the serving child came. */
enum lwc_stage {
    LWC_BEGINS,
    LWC_SERVES,
    LWC_LEFT, /* it ended in order */
};

/* Freezes the child and serves. Returns in workers alone, with 1. */
int lwc_root_run(struct keep *k, struct inbox *in);

#endif
