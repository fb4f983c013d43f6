/* SPDX-License-Identifier: MIT */
/*
 * The application's descriptors: recorded when the worker is armed, opened
 * anew by every context; and nothing else open in a context.
 */
#ifndef LWCGI_FILES_H
#define LWCGI_FILES_H

#include "keep.h"

/* Records the descriptors `fds` (ascending) and opens those that can be for
 * this worker alone. Returns 0, or -errno with *bad the descriptor. */
int files_record(struct frozen *f, const int *fds, int count, int *bad);

/* In a context: opens them anew. Returns 0, or -errno with *bad. */
int files_reopen(const struct frozen *f, int *bad);

/* … one of them. Returns 0 or -errno. */
int files_reopen_one(const struct own_file *f);

/* Closes every descriptor that is not the application's nor `spare`. */
int files_close_others(const struct frozen *f, int spare);

/* Closes everything but the application's, and the descriptors of two lists. */
int files_close_except(const struct frozen *f, const int *list, int count, const int *spare,
                       int spares);

/* Closes what is neither the application's nor the root's: what a serving child
 * leaked into the shared descriptor table. Returns how many, or -errno. */
int files_close_leaked(struct keep *k, const struct frozen *f);

/* Likewise, but calls `deal` for each of them. */
int files_with_unknown(struct keep *k, const struct frozen *f, int (*deal)(struct keep *, int));

#endif
