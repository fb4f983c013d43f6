/* SPDX-License-Identifier: MIT */
/*
 * The moment when a serving child gives up sharing its descriptor table with
 * the root, declared apart because the handler of system calls needs it.
 */
#ifndef LWCGI_UNSHARE_H
#define LWCGI_UNSHARE_H

#include "keep.h"

/* From here on the child's table is its own: what the application does to it
 * ends with the child. What it had opened so far is closed in the root's table,
 * so that nobody waits for an end of file the root holds back. In the child's
 * own table stays only what is the application's, and the connection. Returns 0
 * or -errno. */
int rewind_unshare(struct keep *k, struct inbox *in);

#endif
