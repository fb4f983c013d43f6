/* SPDX-License-Identifier: MIT */
/*
 * Reading one request from a connection: its parameters first, then its body
 * as it comes.
 *
 * The connection is never multiplexed. A BEGIN_REQUEST that arrives before the
 * current request was answered gets CANT_MPX_CONN, so no byte of a second
 * request ever waits in memory beside the first.
 */
#ifndef LWCGI_REQUEST_H
#define LWCGI_REQUEST_H

#include "keep.h"

enum request_outcome {
    REQUEST_READY, /* parameters are complete and decoded into the inbox */
    REQUEST_WAIT,  /* not complete: the connection was put aside */
    REQUEST_OVER,  /* answered or closed here: nothing to do for a context */
};

/* Reads what the connection has. */
int request_read(struct keep *k, struct inbox *in, int fd);

enum pump_outcome {
    PUMP_SLICE, /* rq.slice_at, rq.slice_len: body bytes in rbuf */
    PUMP_STATE, /* rq.body says how the body ended */
    PUMP_NEED,  /* rbuf is used up */
};

/* Looks at what lies in rbuf of the current request's body. */
int request_pump(struct keep *k);

/* Fills rbuf from the connection when it is used up. Returns bytes read, 0 at
 * end of file, -EAGAIN, or another -errno. */
long request_fill(struct keep *k);

/* Sends answers to management records that wait in k->control. Returns 0, or
 * -errno where the peer does not take them (the connection is then unusable). */
int request_send_control(struct keep *k);

/* Reads and drops the rest of a body that the application did not read, for a
 * bounded time, so that the peer can take the answer before the connection
 * closes or is used again. */
void request_drain(struct keep *k);

/* The request is over: wipes it, and keeps or closes its connection. */
void request_end(struct keep *k, struct inbox *in);

#endif
