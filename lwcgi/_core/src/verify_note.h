/* SPDX-License-Identifier: MIT */
/*
 * State written down as lines "name: value", so that two states are compared
 * as texts and the first line that differs names what does. What follows a tab
 * in a line explains it and is not compared.
 */
#ifndef LWCGI_VERIFY_NOTE_H
#define LWCGI_VERIFY_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct note {
    char *start;
    struct text t;
};

void note_start(struct note *n, char *room, size_t len);
/* There was no room for all of it. */
int note_is_cut(const struct note *n);

void note_hex(struct text *t, uint64_t n);
void note_signed(struct text *t, int64_t n);
/* Text of the kernel's on one line, with single blanks. */
void note_flat(struct text *t, const char *s, size_t len);
/* "name: 0x1 0x2 …\n", of 8 bytes each. */
void note_words(struct text *t, const char *name, const void *words, size_t len);

/* Returns 0, or 1 with `why` naming the first line of this `kind` that is not
 * the same. */
int note_compare(const struct note *expected, const struct note *found, const char *kind,
                 struct text *why);

/* Reads a file of /proc to its end, and ends it with a zero byte. Returns its
 * length; -errno, -E2BIG where there is no room for it. */
long note_read(const char *path, char *to, size_t room);
/* "/proc/<pid>/<name>" */
void note_path(char *to, size_t room, int pid, const char *name);

#endif
