/* SPDX-License-Identifier: MIT */
/*
 * What the root tells the world: lines for the supervisor's log.
 */
#ifndef LWCGI_REPORT_H
#define LWCGI_REPORT_H

#include "keep.h"
#include "text.h"

/* Starts a line of level 'D', 'I', 'W', 'E' or 'C' (an error, and the
 * supervisor counts it as a crash) in the keep's text buffer; in small letters
 * it is the application that says it. */
struct text report_start(struct keep *k, char level);
/* … naming the current request: "w1-000012 GET /path: ". */
struct text report_request(struct keep *k, char level);
/* Sends the line to the supervisor. Where its socket is full the line is
 * dropped: the root never waits for a log. */
void report_send(struct keep *k, struct text *t);
/* A whole line in one call. */
void report(struct keep *k, char level, const char *line);

/* That freezing has failed: at doing what, -errno. Returns that. */
int report_not_frozen(struct keep *k, const char *what, int err);

/* What this worker did in its life. */
void report_counters(struct keep *k);

/* The current request's own name: "w1-000012". */
void report_name(const struct keep *k, struct text *t);

#endif
