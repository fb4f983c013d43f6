/* SPDX-License-Identifier: MIT */
/*
 * Giving connections to other workers, through a queue that all of them share.
 */
#ifndef LWCGI_HAND_H
#define LWCGI_HAND_H

#include "keep.h"

/* Puts a connection that waits for bytes into the queue; it is then no longer
 * ours. Returns 0, or -errno where it stays. */
int hand_over(struct keep *k, int fd);

/* Those with bytes waiting, while this worker is busy. */
void hand_ready(struct keep *k);

/* All of them, when this worker ends; a queue without room is waited for. */
void hand_all(struct keep *k);

/* Takes one out of the queue. Returns its descriptor or -errno. */
int hand_take(struct keep *k);

#endif
