/* SPDX-License-Identifier: MIT */
/*
 * Undoing by name what the trace has written down.
 *
 * Each may be done twice: the root repeats what the child was killed in.
 * Return 0 or -errno.
 */
#ifndef LWCGI_UNDO_H
#define LWCGI_UNDO_H

#include "keep.h"

/* Closes what was opened, brings back what was closed or replaced. */
int undo_opened(struct inbox *in);

/* … and offsets, flags and locks of files that were there before. */
int undo_descriptors(struct inbox *in);

/* Unmaps what was mapped, takes the break back, unlocks. */
int undo_mappings(struct keep *k, struct inbox *in);

/* Protects memory of the snapshot as it was. */
int undo_protection(struct keep *k, struct inbox *in);

#endif
