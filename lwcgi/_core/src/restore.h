/* SPDX-License-Identifier: MIT */
/*
 * Undoing one request: descriptors, mappings and memory, each by what is known
 * of it or, where nothing is, by comparing everything.
 */
#ifndef LWCGI_RESTORE_H
#define LWCGI_RESTORE_H

#include "keep.h"

/* Returns 0; 1 where something cannot be put back; -errno. May be repeated by
 * the root where the child was killed in the middle of it. */
int restore_request(struct keep *k, struct inbox *in);

#endif
