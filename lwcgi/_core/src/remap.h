/* SPDX-License-Identifier: MIT */
/*
 * Putting mappings back without knowing what was done to them: compares those
 * there are with those that were frozen.
 */
#ifndef LWCGI_REMAP_H
#define LWCGI_REMAP_H

#include "image.h"

enum { REMAP_UNEXPLAINED = 1 }; /* a mapping is gone that cannot be made anew */

/* Unmaps strangers, restores protections, re-creates lost anonymous memory from
 * the holder. `now` is room for IMAGE_MAPPINGS mappings. Returns 0,
 * REMAP_UNEXPLAINED, or -errno. */
int remap_restore(struct image *im, struct mapping *now);

#endif
