/* SPDX-License-Identifier: MIT */
/*
 * The serving loop: waits for connections and their requests.
 */
#ifndef LWCGI_LOOP_H
#define LWCGI_LOOP_H

#include "keep.h"

/* Waits until a request is complete and lies in keep and inbox. Returns 1, 0
 * when the worker was told to stop, -errno where it cannot go on. */
int loop_next(struct keep *k, struct inbox *in);

#endif
