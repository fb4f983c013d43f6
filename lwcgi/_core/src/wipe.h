/* SPDX-License-Identifier: MIT */
/*
 * Memory that its owner wants to be empty in a copy of the process
 * (MADV_WIPEONFORK, MAP_DROPPABLE): random generators keep their state there.
 */
#ifndef LWCGI_WIPE_H
#define LWCGI_WIPE_H

/* Fills all of it with zeros, as a fork would, so that this is what the
 * snapshot holds. Returns 0 or -errno. */
int wipe_marked(void);

#endif
