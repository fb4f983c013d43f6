/* SPDX-License-Identifier: MIT */
#include "hand.h"

#include <string.h>

#include "conn.h"
#include "signals.h"
#include "sys.h"

/* A connection, and the stash of its unfinished request where it has one. */
enum { MOST = 2 };

union passed {
    struct cmsghdr head;
    char room[CMSG_SPACE(MOST * sizeof(int))];
};

int hand_over(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];
    int fds[MOST] = {fd, c->stash}, count = c->state == CONN_READING ? 2 : 1;
    char last = (char)c->last;
    struct iovec iov = {&last, 1};
    union passed control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = CMSG_SPACE((size_t)count * sizeof *fds)};
    long ret;

    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN((size_t)count * sizeof *fds);
    memcpy(CMSG_DATA(&control.head), fds, (size_t)count * sizeof *fds);
    ret = sys_sendmsg(k->cfg.queue_send, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (ret < 0)
        return (int)ret;
    k->count.handed++;
    conn_forget(k, fd);
    return 0;
}

/* How long to wait for room in the queue before those left over are closed. */
enum { ROOM_TRIES = 500, ROOM_MS = 10 };

static int waits(const struct conn *c)
{
    return c->state == CONN_IDLE || c->state == CONN_READING;
}

void hand_ready(struct keep *k)
{
    struct epoll_event evs[KEEP_BATCH];
    long n = sys_epoll_wait(k->epoll, evs, KEEP_BATCH, 0), i;

    for (i = 0; i < n; i++) {
        int fd = fd_of(&evs[i]);
        if (source_of(&evs[i]) == SOURCE_CONN && waits(&k->conns[fd]) && hand_over(k, fd))
            return; /* the queue is full: they stay ours */
    }
}

/* Gives one away, waiting for room where that helps. Returns 0 or -errno. */
static int hand_surely(struct keep *k, int fd)
{
    int ret, tries = 0;

    do {
        ret = hand_over(k, fd);
        if (ret != -EAGAIN && ret != -ETOOMANYREFS)
            return ret;
        sys_poll(NULL, 0, ROOM_MS);
        signals_read(k);
    } while (!k->quick && ++tries < ROOM_TRIES);
    return ret;
}

void hand_all(struct keep *k)
{
    int fd;

    for (fd = 0; fd <= k->top_fd; fd++)
        if (waits(&k->conns[fd]) && hand_surely(k, fd))
            return;
}

int hand_take(struct keep *k)
{
    char last = 0;
    struct iovec iov = {&last, 1};
    union passed control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control};
    long ret = sys_recvmsg(k->cfg.queue_recv, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fds[MOST] = {-1, -1};
    size_t len;

    if (ret < 0)
        return (int)ret;
    if (msg.msg_controllen < sizeof(struct cmsghdr) || control.head.cmsg_type != SCM_RIGHTS)
        return -EBADMSG;
    len = control.head.cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(&control.head), len < sizeof fds ? len : sizeof fds);
    return conn_take_over(k, fds[0], fds[1], last);
}
