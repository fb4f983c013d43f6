/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "report.h"
#include "sys.h"

/* How long a peer may take for a request's parameters once it has begun. */
static const uint64_t READ_NS = 10ull * 1000000000;

static int watch(int ep, int source, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events};

    ev.data.u64 = (uint64_t)source << 32 | (uint32_t)fd;
    return (int)sys_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

int conn_listen(struct keep *k, int on)
{
    int i, ret = 0;

    if (k->listening == on)
        return 0;
    k->listening = on;
    for (i = 0; i < k->cfg.listener_count && ret == 0; i++)
        if (on)
            /* Exclusive: one idle worker wakes for a connection, not all. */
            ret = watch(k->epoll, SOURCE_LISTENER, k->cfg.listeners[i], EPOLLIN | EPOLLEXCLUSIVE);
        else
            ret = (int)sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.listeners[i], NULL);
    if (ret == 0 && on)
        ret = watch(k->epoll, SOURCE_QUEUE, k->cfg.queue_recv, EPOLLIN | EPOLLEXCLUSIVE);
    else if (ret == 0)
        ret = (int)sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.queue_recv, NULL);
    return ret;
}

int conn_setup(struct keep *k, int extra, int extra_source)
{
    long ep = sys_epoll_create(EPOLL_CLOEXEC);
    int ret;

    if (ep < 0)
        return (int)ep;
    k->epoll = (int)ep;
    k->listening = 0;
    k->ready_at = k->ready_count = 0;
    ret = watch(k->epoll, extra_source, extra, EPOLLIN);
    return ret ? ret : conn_listen(k, 1);
}

int conn_rebuild(struct keep *k, int extra, int extra_source)
{
    int ret, fd;

    sys_close(k->epoll);
    ret = conn_setup(k, extra, extra_source);
    if (ret)
        return ret;
    k->open_conns = 0;
    for (fd = 0; fd <= k->top_fd; fd++) {
        struct conn *c = &k->conns[fd];
        if (c->state == CONN_FREE)
            continue;
        k->open_conns++;
        c->polled = 0;
        if (c->state == CONN_BUSY) /* it died before it put this one away */
            conn_close(k, fd);
        else
            conn_wait(k, fd, c->state);
    }
    return k->stopping ? conn_listen(k, 0) : 0;
}

static int add(struct keep *k, int fd)
{
    struct stat st;
    int type = 0;
    socklen_t len = sizeof type;
    struct conn *c;

    /* A descriptor from the queue was sent by another worker, which under
     * `none` runs application code: look before using it. */
    if (fd >= KEEP_MAX_FD || sys_fstat(fd, &st) || !S_ISSOCK(st.st_mode) ||
        sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &len)) {
        sys_close(fd);
        return -EBADF;
    }
    c = &k->conns[fd];
    memset(c, 0, sizeof *c);
    c->state = CONN_IDLE;
    c->is_tcp = type != AF_UNIX;
    c->stash = -1;
    if (fd > k->top_fd)
        k->top_fd = fd;
    if (++k->open_conns >= k->conn_limit)
        conn_listen(k, 0);
    return fd;
}

int conn_accept(struct keep *k, int listener)
{
    long fd = sys_accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd == -EMFILE || fd == -ENFILE) {
        /* The connection stays in the backlog for a worker that has room; we
         * take new ones again when one of ours has closed. */
        if (!k->quiet)
            report(k, 'W', "no descriptors left for new connections: raise the limit (ulimit -n)");
        k->quiet = 1;
        if (k->open_conns)
            conn_listen(k, 0);
    }
    return fd < 0 ? (int)fd : add(k, (int)fd);
}

/* A control message with one descriptor. */
union passed {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

int conn_take(struct keep *k)
{
    char byte;
    struct iovec iov = {&byte, 1};
    union passed control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control};
    long ret = sys_recvmsg(k->cfg.queue_recv, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (ret < 0)
        return (int)ret;
    if (msg.msg_controllen < sizeof(struct cmsghdr) || control.head.cmsg_type != SCM_RIGHTS)
        return -EBADMSG;
    memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
    return add(k, fd);
}

void conn_close(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];

    if (c->polled)
        /* A process that inherited the descriptor would keep it in the set. */
        sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (c->stash >= 0)
        sys_close(c->stash);
    sys_close(fd);
    memset(c, 0, sizeof *c);
    c->stash = -1;
    k->open_conns--;
    k->quiet = 0;
    if (!k->listening && !k->stopping && k->open_conns < k->conn_limit)
        conn_listen(k, 1);
}

void conn_wait(struct keep *k, int fd, int state)
{
    struct conn *c = &k->conns[fd];

    c->state = (uint8_t)state;
    if (c->polled)
        return;
    if (watch(k->epoll, SOURCE_CONN, fd, EPOLLIN | EPOLLRDHUP)) {
        report(k, 'W', "a connection could not be watched and was closed");
        conn_close(k, fd);
        return;
    }
    c->polled = 1;
}

int conn_stash(struct keep *k)
{
    struct conn *c = &k->conns[k->rq.fd];
    uint64_t now = now_ns();
    long ret;

    if (c->stash < 0) {
        ret = sys_memfd_create("lwcgi-unfinished", MFD_CLOEXEC);
        if (ret < 0)
            return (int)ret;
        c->stash = (int)ret;
    }
    ret = sys_pwrite(c->stash, &k->rq, sizeof k->rq, 0);
    if (ret != (long)sizeof k->rq)
        return ret < 0 ? (int)ret : -EIO;
    ret = sys_pwrite(c->stash, k->params, k->rq.params_len, sizeof k->rq);
    if (ret != (long)k->rq.params_len)
        return ret < 0 ? (int)ret : -EIO;
    if (!c->deadline_ns)
        c->deadline_ns = now + READ_NS;
    if (!k->next_deadline_ns || c->deadline_ns < k->next_deadline_ns)
        k->next_deadline_ns = c->deadline_ns;
    return 0;
}

int conn_unstash(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];
    long ret = sys_pread(c->stash, &k->rq, sizeof k->rq, 0);

    if (ret != (long)sizeof k->rq || k->rq.params_len > k->cfg.max_params) {
        memset(&k->rq, 0, sizeof k->rq);
        return -EIO;
    }
    ret = sys_pread(c->stash, k->params, k->rq.params_len, sizeof k->rq);
    return ret == (long)k->rq.params_len ? 0 : -EIO;
}

void conn_expire(struct keep *k, uint64_t now)
{
    uint64_t next = 0;
    int fd;

    if (!k->next_deadline_ns || now < k->next_deadline_ns)
        return;
    for (fd = 0; fd <= k->top_fd; fd++) {
        struct conn *c = &k->conns[fd];
        if (c->state != CONN_READING)
            continue;
        if (c->deadline_ns <= now) {
            report(k, 'W', "a connection was closed: its request did not arrive within 10 s");
            conn_close(k, fd);
        } else if (!next || c->deadline_ns < next) {
            next = c->deadline_ns;
        }
    }
    k->next_deadline_ns = next;
}

int conn_peer_gone(struct keep *k, int fd)
{
    /* On a Unix socket POLLHUP means both directions are closed. TCP cannot
     * tell a closed peer from one that only finished sending; web servers do
     * not half-close, so the end of their stream counts as gone. */
    short asked = k->conns[fd].is_tcp ? POLLRDHUP : 0;
    struct pollfd p = {.fd = fd, .events = asked};

    return sys_poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR | POLLRDHUP);
}

int conn_peer_aborts(int fd, unsigned id)
{
    uint8_t head[FCGI_HEADER_LEN], abort[FCGI_HEADER_LEN];

    fcgi_header(abort, FCGI_ABORT_REQUEST, id, 0, 0);
    return sys_recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT) == (long)sizeof head &&
           memcmp(head, abort, sizeof head) == 0;
}

/* Sends one idle connection into the queue; it is then no longer ours. */
static int hand(struct keep *k, int fd)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};
    union passed control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control};
    long ret;

    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    ret = sys_sendmsg(k->cfg.queue_send, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (ret < 0)
        return (int)ret;
    k->count.handed++;
    conn_close(k, fd);
    return 0;
}

void hand_ready(struct keep *k)
{
    struct epoll_event evs[KEEP_BATCH];
    long n, i;

    if (k->cfg.workers < 2)
        return;
    n = sys_epoll_wait(k->epoll, evs, KEEP_BATCH, 0);
    for (i = 0; i < n; i++) {
        int fd = fd_of(&evs[i]);
        if (source_of(&evs[i]) == SOURCE_CONN && k->conns[fd].state == CONN_IDLE && hand(k, fd))
            return; /* the queue is full: they stay ours */
    }
}

void hand_all(struct keep *k)
{
    int fd;

    for (fd = 0; fd <= k->top_fd; fd++)
        if (k->conns[fd].state == CONN_IDLE && hand(k, fd))
            return;
}
