/* SPDX-License-Identifier: MIT */
/*
 * Answers: the records that carry them, and the short ones that the root
 * writes itself.
 */
#ifndef LWCGI_ANSWER_H
#define LWCGI_ANSWER_H

#include <sys/uio.h>

#include "keep.h"

/* What follows the last bytes of an answer: padding, the empty STDOUT record
 * that ends the stream, END_REQUEST. Needs ANSWER_TAIL bytes at `to`; returns
 * how many it wrote.
 *
 * FastCGI has no way to say "I will close this connection". A web server that
 * keeps it may put the next request on it before it sees the end, and that
 * request would be lost. nginx does not keep a connection on which anything
 * follows END_REQUEST, so a connection that will be closed carries one more
 * record, which any other web server ignores. */
enum { ANSWER_TAIL = 7 + 8 + 16 + 8 };
size_t answer_tail(struct keep *k, uint8_t *to, unsigned padding, uint32_t app_status);

/* Padding that aligns a record of `len` content bytes to eight. */
static inline unsigned answer_padding(size_t len)
{
    return (unsigned)(-len & 7);
}

/* Remembers what the access log wants to know of the answer's first bytes. */
void answer_note_head(struct keep *k, const uint8_t *data, size_t len);

/* Sends all of `len` bytes on the current connection, waiting up to the
 * request's deadline where the peer is slow. Returns 0 or -errno. */
int answer_send(struct keep *k, const struct iovec *iov, int count);

/* The answer cannot be completed. To nginx (1.22) the end of the connection is
 * the end of the answer, END_REQUEST or not, so that closing alone would make a
 * cut answer look whole. Eight zero bytes are a record of version 0, an error
 * to every web server; before them the rest of a record that was begun. */
void answer_break(struct keep *k);

/* END_REQUEST alone, for a request that gets no answer (ABORT). */
void answer_end(struct keep *k, uint32_t app_status);

/* A complete answer of the root's own, `status` being "500 Internal Server
 * Error" or the like. Marks the connection unusable where it cannot be sent. */
void answer_refuse(struct keep *k, const char *status);

/* What the client gets of a request whose application gave no complete answer:
 * the end it asked for, a 500, or a visibly cut answer. The connection is then
 * not used again. */
void answer_instead(struct keep *k);

#endif
