/* SPDX-License-Identifier: MIT */
/*
 * The `rewind` engine: a serving child shares the worker's memory and undoes
 * each request's effects, in place where it can.
 */
#ifndef LWCGI_REWIND_H
#define LWCGI_REWIND_H

#include "keep.h"

/* Maps what the engine keeps beside the keep. Before arming. Returns 0 or
 * -errno. */
int rewind_map(struct keep *k, struct inbox *in);

/* The frozen point. Freezes the worker when first called and then returns 1
 * for each request, in the state of that moment; 0 in the root when the worker
 * is told to stop, -errno in the root where it cannot go on. */
int rewind_next(struct keep *k, struct inbox *in);

/* The application is done with its request. */
void __attribute__((noreturn)) rewind_leave(struct keep *k, struct inbox *in);

#endif
