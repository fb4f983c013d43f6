/* SPDX-License-Identifier: MIT */
/*
 * The core as Python sees it: one worker, one frozen point.
 *
 * lw_next() returns once per request, in the state its caller was frozen in,
 * as fork returns twice; lw_leave() ends the request's context.
 */
#ifndef LWCGI_CORE_H
#define LWCGI_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "keep.h"

/* Huge pages would be put back whole: none from here on, in this process and
 * those it forks. Returns 0 or -errno. */
int lw_disable_huge_pages(void);

/* Can contexts be kept from other processes (confine.h)? Returns 0 or -errno. */
int lw_confinement(void);

/* Makes keep and inbox. Returns 0 or -errno. */
int lw_create(const struct lw_settings *cfg);

/* Records what every context starts with: the application's descriptors
 * (ascending), limits, signal mask. After this the process is a root: signals
 * are blocked and read by the loop. Returns 0 or -errno; *bad is the
 * descriptor that is to blame, or -1. */
int lw_arm(const int *fds, int count, int *bad);

enum lw_next {
    LW_STOP = 0,    /* in the root: told to stop */
    LW_REQUEST = 1, /* in a context that has served before (`none`) */
    LW_FRESH = 2,   /* in a new context */
};

/* Before arming, under ENGINE_NONE: makes a request of `block` the current one.
 * Its answer goes nowhere. So the code that serves requests can be run until it
 * has settled. Returns 0 or -E2BIG. */
int lw_rehearse(const uint8_t *block, uint32_t len);

/* Waits for the next request. Returns enum lw_next, or -errno in the root. */
int lw_next(void);

/* The current request: its block of CGI variables, and what else is known. */
const uint8_t *lw_block(uint32_t *len);
uint64_t lw_number(void);
int lw_role(void);
int lw_has_body(void);
int lw_headers_sent(void);

/* Writes bytes of the answer; `last` completes it. Returns 0 or -errno. */
int lw_write(const void *data, size_t len, int last);

/* Reads the request's body. Returns bytes read, 0 at its end, -errno, or one
 * of -BODY_E_*. */
long lw_read(void *buf, size_t len);

/* Gives a Mersenne Twister a state that no other request has. Returns 0 or
 * -errno. */
int lw_renew_random(uint32_t *state);

/* A line for the log, level 'D', 'I', 'W' or 'E'. */
void lw_log(char level, const void *text, size_t len);

/* The answer cannot be completed: the connection will be closed. */
void lw_abort(void);

/* The request is over. Does not return under engines that isolate. */
void lw_leave(void);

/* Under engines whose loop shares the process with the application: it is
 * about to run, and has run. */
void lw_app_runs(void);
void lw_app_ran(void);

/* CPython's fork hooks, for a snapshot that is taken in the middle of a fork:
 * `before` once in the root, `child` in every fresh context, `parent` in the
 * root when it is done. */
void lw_python_before_fork(void);
void lw_python_after_fork_parent(void);
void lw_python_after_fork_child(void);

/* … and one hook of theirs, for an engine that has its own way with them: what
 * it raises is reported as CPython does. */
void lw_python_call_hook(size_t hook);

/* The root leaves: hands its idle connections on, logs its counters and unmaps
 * everything. */
void lw_close(void);

#ifdef LWCGI_MUTATIONS
void lw_skip(int step);
#endif

#endif
