/* SPDX-License-Identifier: MIT */
/*
 * The open descriptors as /proc/self/fd tells them.
 */
#ifndef LWCGI_VERIFY_FILES_H
#define LWCGI_VERIFY_FILES_H

#include "verify_note.h"

/* Says whether a descriptor is the root's own, which is not compared. */
typedef int verify_own_fd(const void *arg, int fd);

/* Notes every other descriptor: which file, offset, flags, locks, who is
 * signalled. Returns 0 or -errno. */
int descriptors_note(struct note *n, verify_own_fd *is_own, const void *arg);

#endif
