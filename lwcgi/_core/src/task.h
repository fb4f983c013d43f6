/* SPDX-License-Identifier: MIT */
/*
 * Processes: waiting for a context, and for what it left behind.
 *
 * The root is a child subreaper, so whatever a context started becomes the
 * root's own child when the context ends; the root reaps its children itself,
 * so a child's pid cannot be reused while it is looked at.
 */
#ifndef LWCGI_TASK_H
#define LWCGI_TASK_H

#include "keep.h"

/* How a child ended. */
struct ending {
    int code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
    int status; /* exit code or signal */
};

/* Was it a signal of the kind that faults and the C library's checks send? */
int task_crashed(const struct ending *how);

/* Waits for a child that is dead or about to be. Returns 0 or -errno. */
int task_reap(int pid, struct ending *how);

/* Reaps the dead; kills what a context left behind unless it detached into a
 * session of its own, until none is left. Returns how many were killed, or
 * -errno where that cannot be achieved (the worker must then be replaced). */
int task_sweep(struct keep *k);

/* Reaps dead children that are not `context` (0: there is none): detached
 * processes, and orphans of a serving child. */
void task_reap_strays(int context);

#endif
