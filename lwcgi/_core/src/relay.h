/* SPDX-License-Identifier: MIT */
/*
 * The root's side of a `fork` context: makes it, passes the body in and the
 * answer out, watches the clock and the client, and cleans up behind it.
 */
#ifndef LWCGI_RELAY_H
#define LWCGI_RELAY_H

#include "keep.h"

/* Serves the request that lies in keep and inbox. Returns 1 in the new
 * context, 0 in the root when the request is over, -errno where the worker
 * cannot go on. */
int relay_serve(struct keep *k, struct inbox *in);

#endif
