/* SPDX-License-Identifier: MIT */
/*
 * The access log: one line for each request, which the supervisor takes from a
 * pipe and writes to its file.
 *
 * A line is at most KEEP_TEXT bytes long, so that the pipe takes it whole or
 * not at all (PIPE_BUF, pipe(7)). What comes from the request is cut before it
 * would push out what follows it.
 */
#ifndef LWCGI_ACCESS_H
#define LWCGI_ACCESS_H

#include "keep.h"

/* How `rewind` or `lwc` got rid of a request's effects. */
enum undone { UNDONE_IN_PLACE, UNDONE_NEW_TASK, UNDONE_AFTER_END, UNDONE_NEW_WORKER };

/* The current request is over. Where keep.undo_follows is set its line waits
 * for access_undone, else it is written now. */
void access_note(struct keep *k);

/* Completes the line that waits, if one does, and writes it. */
void access_undone(struct keep *k, enum undone how, uint64_t pages, uint64_t ns);

#endif
