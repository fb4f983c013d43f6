/* SPDX-License-Identifier: MIT */
/*
 * The mappings of this process as /proc/self/smaps tells them. Neighbours that
 * are alike count as one, since the kernel splits and joins mappings as it
 * likes.
 */
#ifndef LWCGI_VERIFY_AREAS_H
#define LWCGI_VERIFY_AREAS_H

#include "verify_note.h"

struct span {
    uint64_t start, end;
};

struct area {
    uint64_t start, end;
    uint64_t offset; /* in its file */
    const char *name;
    size_t name_len;
    int readable;
    int is_private;
};

/* Notes every mapping but what lies in one of the `count` spans `without`.
 * Returns 0 or -errno. */
int areas_note(struct note *n, const struct span *without, uint32_t count);

/* Reads the line *at of such a note and goes on to the next. Returns 0 at the
 * end. */
int areas_next(const struct note *n, const char **at, struct area *a);

#endif
