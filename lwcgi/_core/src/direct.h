/* SPDX-License-Identifier: MIT */
/*
 * A context that writes for itself: the serving child of engines whose loop
 * runs in the same process as the application.
 */
#ifndef LWCGI_DIRECT_H
#define LWCGI_DIRECT_H

#include "keep.h"

/* As context_write and context_read, but on the connection itself. */
int direct_write(struct keep *k, const void *data, size_t len, int last);
long direct_read(struct keep *k, void *buf, size_t len);

/* The application is done with the request. Ends it: an answer that is not
 * complete closes the connection. */
void direct_leave(struct keep *k, struct inbox *in);

/* Marks the application as running, so that the root may look after the idle
 * connections meanwhile; and takes the table back. */
void direct_release(struct keep *k);
void direct_acquire(struct keep *k);

#endif
