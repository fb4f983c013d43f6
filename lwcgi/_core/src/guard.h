/* SPDX-License-Identifier: MIT */
/*
 * The root of engines whose serving loop runs in a child: sleeps beside the
 * child, and clears up when it dies or hangs.
 */
#ifndef LWCGI_GUARD_H
#define LWCGI_GUARD_H

#include "keep.h"
#include "task.h"

struct guard {
    struct keep *k;
    struct inbox *in;
    int pid;
    int pidfd;
    int overdue;       /* 1: asked to end, 2: killed */
    uint64_t seen;     /* the request that ran at the last look */
    uint64_t unwanted; /* the request that was ended because nobody waits for it */
    uint64_t deadline_ns;
    int needed; /* pidfd of a process the child cannot do without; -1 */
    int ask;    /* eventfd by which the child asks for `answer`; -1 */
    void (*answer)(struct guard *g);
};

/* Begins to watch the child `pid`. */
void guard_start(struct guard *g, struct keep *k, struct inbox *in, int pid, int pidfd);

/* Sleeps until the child has ended. Returns 0, or -errno where it cannot be
 * watched, -ECHILD where the needed process is gone. */
int guard_watch(struct guard *g);

/* The child is dead: the request it was serving gets its one answer. */
void guard_settle(struct guard *g, const struct ending *how);

/* What every serving child does first: dies with its root, leads a process
 * group, has its limits. */
void guard_child_enter(struct keep *k, struct inbox *in);

/* The `none` engine's root. Returns 1 in each new serving child, 0 in the root
 * when the worker is told to stop, -errno where it cannot go on. */
int guard_run(struct keep *k, struct inbox *in);

#endif
