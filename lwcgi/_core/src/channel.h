/* SPDX-License-Identifier: MIT */
/*
 * What a context and the root say to each other over the channel, a
 * SOCK_SEQPACKET pair: one message, one byte of kind and up to FCGI_CHUNK
 * bytes. The root takes everything a context says for hostile input: no
 * message carries a length, an address or an index.
 */
#ifndef LWCGI_CHANNEL_H
#define LWCGI_CHANNEL_H

enum channel_kind {
    /* context to root */
    CHANNEL_OUT = 'O',   /* bytes of the answer */
    CHANNEL_LAST = 'F',  /* … and these are the last: the answer is complete */
    CHANNEL_LOG = 'L',   /* one byte of level, then a line for the log */
    CHANNEL_ABORT = 'A', /* the answer cannot be completed */
    /* root to context */
    CHANNEL_BODY = 'B',     /* bytes of the request's body */
    CHANNEL_BODY_END = 'E', /* the body is complete */
    CHANNEL_BODY_BAD = 'X', /* … or not: one byte, enum body_state */
};

/* How a context ends: anything else is an abnormal end, also exit code 0,
 * which an application's own _exit(2) would give. */
enum channel_exit {
    CHANNEL_EXIT_LEFT = 108, /* it answered and ran its hooks */
    CHANNEL_EXIT_CANNOT_START = 120,
    CHANNEL_EXIT_ABORTED = 121,
    /* A worker, to the snapshot process: fork another in its place at once. */
    CHANNEL_EXIT_REPLACE = 109,
};

#endif
