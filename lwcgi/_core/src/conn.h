/* SPDX-License-Identifier: MIT */
/*
 * A worker's connections: accepting, waiting, and putting aside what was read
 * of an unfinished request.
 */
#ifndef LWCGI_CONN_H
#define LWCGI_CONN_H

#include "keep.h"

/* What an epoll event is about: the upper half of its data; the lower is the
 * descriptor. */
enum conn_source { SOURCE_LISTENER = 1, SOURCE_QUEUE, SOURCE_SIGNAL, SOURCE_WAKE, SOURCE_CONN };

static inline int source_of(const struct epoll_event *ev)
{
    return (int)(ev->data.u64 >> 32);
}

static inline int fd_of(const struct epoll_event *ev)
{
    return (int)(uint32_t)ev->data.u64;
}

/* Makes the epoll set with listeners, queue and `extra` (a descriptor the loop
 * must hear of, or -1). Returns 0 or -errno. */
int conn_setup(struct keep *k, int extra, int extra_source);

/* After the serving child died: makes the set anew from the table. What was ready and has not
 * had its turn keeps it. */
int conn_rebuild(struct keep *k, int extra, int extra_source);

/* Starts or stops taking new connections. */
int conn_listen(struct keep *k, int on);

/* Each returns the new connection's descriptor, or -errno. conn_add takes over
 * a descriptor that must be a socket's. */
int conn_accept(struct keep *k, int listener);
int conn_add(struct keep *k, int fd);

/* Likewise of another worker's, with the stash of its unfinished request (or -1),
 * which is closed where the connection cannot be taken over. */
int conn_take_over(struct keep *k, int fd, int stash, int last);

/* Puts a connection back to wait for its next bytes. Closes it where that
 * fails. */
void conn_wait(struct keep *k, int fd, int state);
void conn_close(struct keep *k, int fd);

/* Closes the descriptor of one that another worker has now. */
void conn_forget(struct keep *k, int fd);

/* Keeps what was read of the current request outside memory, in a memfd, so
 * that no later context can find it; and takes it back. Return 0 or -errno. */
int conn_stash(struct keep *k);
int conn_unstash(struct keep *k, int fd);
void conn_drop_stash(struct keep *k, int fd);

/* The clock of an unfinished request starts. */
void conn_set_deadline(struct keep *k, int fd);

/* Closes connections whose unfinished request is overdue. */
void conn_expire(struct keep *k, uint64_t now);

/* True when the peer is gone for good, not just done with sending, or when an
 * ABORT_REQUEST for request `id` is the next thing it sent. */
int conn_peer_gone(struct keep *k, int fd);
int conn_peer_aborts(int fd, unsigned id);

#endif
