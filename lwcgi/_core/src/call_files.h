/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptors. Those the application opens are remembered; one that
 * was there before is put away before it is closed or replaced; those of the
 * root do not exist for the application.
 */
#ifndef LWCGI_CALL_FILES_H
#define LWCGI_CALL_FILES_H

#include "call.h"

/* Argument `i` is a descriptor of the application. */
int call_knows(const struct call *c, int fd);

/* Notes in the trace what a copy of the process must not hold. */
void call_note_roots(struct call *c);

enum verdict call_uses(struct call *c, int i);    /* it is only used */
enum verdict call_moves(struct call *c, int i);   /* its offset may change */
enum verdict call_changes(struct call *c, int i); /* flags, locks or owner may change */
enum verdict call_opens(struct call *c);          /* the result is a descriptor */
enum verdict call_opens_of(struct call *c);       /* … made of the first argument's */
enum verdict call_opens_pair(struct call *c, const int *pair);
enum verdict call_opens_path(struct call *c);
enum verdict call_closes(struct call *c);
enum verdict call_closes_range(struct call *c);
enum verdict call_duplicates_to(struct call *c);
enum verdict call_fcntl(struct call *c);
enum verdict call_ioctl(struct call *c);

#endif
