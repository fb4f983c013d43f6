/* SPDX-License-Identifier: MIT */
/*
 * What a process is beside its memory and its descriptors: everything its
 * kernel can be asked about it that a request might change.
 *
 * Left out are the registers, segment bases and floating point among them,
 * since each request enters with those that were frozen.
 */
#ifndef LWCGI_ATTRIBUTES_H
#define LWCGI_ATTRIBUTES_H

#include "verify_note.h"

/* Notes those of the calling process; `scratch` is for the files of /proc.
 * Returns 0 or -errno. */
int attributes_note(struct note *n, char *scratch, size_t room);

#endif
